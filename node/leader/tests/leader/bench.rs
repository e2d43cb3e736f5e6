//! A CA of a few answers, and an account there.

use std::sync::Arc;

use leader::issuance::authority::{Authority, AuthorityError, OrderRequest, OrderStatus, Rates};
use state::testing::{ManualClock, host};

use crate::{
    client::{Client, new_key},
    recorder::{Answer, Recorder},
};

/// A directory with everything in it.
const DIRECTORY: &str = r#"{"newNonce":"{base}/nonce","newAccount":"{base}/account",
    "newOrder":"{base}/new","revokeCert":"{base}/revoke","keyChange":"{base}/roll",
    "renewalInfo":"{base}/renewal","meta":{"termsOfService":"https://ca.example/terms",
    "website":"https://ca.example/","caaIdentities":["ca.example"],
    "externalAccountRequired":true,"profiles":{"classic":"as ever","shortlived":"a week"}}}"#;

pub(crate) struct Bench {
    pub(crate) client: Client,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) recorder: Recorder,
    pub(crate) authority: Arc<dyn Authority>,
}

impl Bench {
    /// A CA that answers requests whose first line begins like this with that; `{base}`
    /// is its own address.
    pub(crate) async fn with(answers: &'static [(&str, Answer)]) -> Self {
        Self::scripted(Rates::UNPUBLISHED, move |line, _| {
            let found = answers.iter().find(|(begin, _)| line.starts_with(begin));
            found.map(|(_, answer)| answer.clone())
        })
        .await
    }

    pub(crate) async fn scripted(
        rates: Rates,
        script: impl Fn(&str, u32) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let recorder = Recorder::start(move |line, before| {
            let known = line.starts_with("GET /directory ");
            let usual = known.then(|| Answer::Say("200 OK", DIRECTORY.to_owned()));
            script(line, before).or(usual)
        });
        let recorder = recorder.await;
        let directory = format!("{}/directory", recorder.base);
        let clock = Arc::new(ManualClock::default());
        let client = Client::at(clock.clone(), &directory, &recorder.root_pem).paced(rates);
        let account = format!("{}/account/1", recorder.base);
        Self {
            authority: client.open(&new_key(), Some(&account)),
            client,
            clock,
            recorder,
        }
    }

    pub(crate) async fn order(
        &self,
        edit: impl FnOnce(&mut OrderRequest<'_>),
    ) -> Result<(), AuthorityError> {
        let name = host("shop.example");
        let mut request = OrderRequest::of(&name);
        edit(&mut request);
        let order = self.authority.new_order(&request, self.client.permit());
        let view = order.await?;
        assert_eq!(view.status, OrderStatus::Ready);
        Ok(())
    }

    pub(crate) fn count(&self, begin: &str) -> usize {
        let requests = self.recorder.requests();
        requests.iter().filter(|it| it.starts_with(begin)).count()
    }
}

pub(crate) fn say(head: &'static str, body: &str) -> Answer {
    Answer::Say(head, body.to_owned())
}
