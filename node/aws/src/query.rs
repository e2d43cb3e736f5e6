//! Services that are asked by forms and answer in XML: the query protocol of STS, and that of EC2,
//! which differs in how it refuses.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::CONTENT_TYPE};
use roxmltree::{Document, Node};

use crate::{
    account::Account,
    said::{Failure, bounded, chain},
    signed::{Attempt, Call, Service, Signer},
};

/// A service of AWS that is asked by forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query {
    pub(crate) service: Service,
    /// Of its API.
    pub(crate) version: &'static str,
}

impl Query {
    /// `action` with what stands behind it, written as a form is.
    pub(crate) fn call(self, action: &str, headers: &[(HeaderName, HeaderValue)]) -> Call {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let mut all = vec![(CONTENT_TYPE, kind)];
        all.extend_from_slice(headers);
        Call {
            headers: all,
            body: format!("Action={action}&Version={}", self.version),
        }
    }

    /// The answer, as XML that can be read.
    pub(crate) async fn ask(
        self,
        account: &Account,
        call: &Call,
        signer: Signer<'_>,
    ) -> Result<String, Failure> {
        self.service.ask(account, call, signer, read).await
    }
}

fn read(attempt: Attempt) -> Result<String, Failure> {
    let (status, body) = attempt.map_err(|error| Failure::Out(chain(&*error)))?;
    let text = text(&body);
    let parsed = text.as_deref().and_then(|text| Document::parse(text).ok());
    let Some(document) = parsed else {
        // The service itself always speaks XML: something in between did not.
        return Err(Failure::Out(format!("status {status}, and no XML")));
    };
    if status == 200 {
        drop(document);
        return Ok(text.unwrap_or_default());
    }
    let error = document.descendants().find(|node| is(node, "Error"));
    let said = |name| error.and_then(|error| child(error, name));
    let code = said("Code").unwrap_or("no code");
    let words = said("Message").unwrap_or("no further words");
    if status >= 500 {
        return Err(Failure::Out(bounded(&format!("{code}: {words}"))));
    }
    Err(Failure::answered(code, words, &["Throttling"]))
}

fn text(body: &Bytes) -> Option<String> {
    String::from_utf8(body.to_vec()).ok()
}

/// Names are compared without their namespaces, which name the version that was asked for.
pub(crate) fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The text of the first child of that name.
pub(crate) fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.children().find(|child| is(child, name))?.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<String, Failure> {
        read(Ok((status, Bytes::copy_from_slice(body.as_bytes()))))
    }

    #[test]
    fn an_answer_is_xml_and_a_refusal_is_told_in_either_way() {
        let good = "<A xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><B>1</B></A>";
        assert_eq!(answer(200, good).unwrap(), good);
        let sts = "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>\
                   <Message>no</Message></Error></ErrorResponse>";
        let ec2 = "<Response><Errors><Error><Code>SignatureDoesNotMatch</Code><Message>no</Message>\
                   </Error></Errors><RequestID>1</RequestID></Response>";
        for refusal in [sts, ec2] {
            let Err(Failure::Answered { code, words }) = answer(403, refusal) else {
                panic!("{refusal}")
            };
            assert_eq!((&*code, &*words), ("SignatureDoesNotMatch", "no"));
        }
        let throttled = sts.replace("SignatureDoesNotMatch", "Throttling");
        for (status, body) in [(500, sts), (400, &*throttled), (200, "{}"), (200, "<A>")] {
            assert!(
                matches!(answer(status, body), Err(Failure::Out(_))),
                "{status} {body}"
            );
        }
    }
}
