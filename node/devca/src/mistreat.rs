//! What the core itself does to requests that are struck by a fault, or come too often.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode, Uri};
use serde_json::Value;

use crate::book::Record;
use crate::core::Core;
use crate::endpoint::Endpoint;
use crate::fault::{ChainFault, Mishap, RetryAfter};
use crate::order::Stage;
use crate::problem::{Kind, Problem};
use crate::routes::Route;
use crate::step::Turn;

const END: &str = "-----END CERTIFICATE-----\n";

impl Core {
    /// The refusal of a request that comes too soon after others of its address.
    pub(crate) fn overrun(&mut self, endpoint: Endpoint, turn: &Turn<'_>) -> Option<Problem> {
        let (limit, kind) = endpoint.limit(&self.behaviour.limits.requests)?;
        let spent = self
            .meter
            .request(limit, kind, turn.caller.address, turn.moment);
        let denial = spent.err()?;
        Some(self.limited(&denial, turn.moment))
    }

    /// Refuses the request where the fault that strikes it says so.
    pub(crate) fn refused_by_fault(&self, turn: &Turn<'_>) -> Result<(), Problem> {
        match &turn.mishap {
            Some(Mishap::BadNonce) => Err(Problem::new(
                Kind::BadNonce,
                "the nonce is refused on command",
            )),
            Some(Mishap::RateLimited { .. }) => {
                Err(Problem::new(Kind::RateLimited, "rate limited on command"))
            }
            Some(Mishap::Status { status, .. }) => Err(failing(*status)),
            // The answer is never seen.
            Some(mishap) if mishap.refuses() => Err(failing(500)),
            _ => Ok(()),
        }
    }

    /// Makes the order of a request invalid, where the fault that strikes it says so.
    pub(crate) fn spoil_order(&mut self, route: &Route, turn: &mut Turn<'_>) {
        let (Route::Order(id) | Route::Finalize(id)) = route else {
            return;
        };
        if turn.mishap == Some(Mishap::OrderInvalid) {
            let detail = "the order was made invalid on command";
            let problem = Problem::new(Kind::ServerInternal, detail);
            self.make_invalid(id, problem, turn);
        }
    }

    /// Ends an order that has no certificate.
    pub(crate) fn make_invalid(&mut self, id: &str, problem: Problem, turn: &mut Turn<'_>) {
        let Some(order) = self.book.orders.get(id) else {
            return;
        };
        if !matches!(order.stage, Stage::Valid { .. }) {
            let mut order = order.clone();
            order.stage = Stage::Invalid { problem };
            self.put(Record::Order(order), turn);
        }
    }

    /// Does to an answer what the fault that strikes its request says.
    pub(crate) fn mistreated(
        &self,
        mut response: Response<Bytes>,
        turn: &Turn<'_>,
    ) -> Response<Bytes> {
        let Some(mishap) = &turn.mishap else {
            return response;
        };
        match mishap {
            Mishap::Status { status, html: true } => page(&mut response, *status),
            Mishap::StatusAfter { status } => {
                let problem = failing(*status);
                *response.status_mut() = status_code(*status);
                *response.body_mut() = serde_json::json!(problem).to_string().into();
                set_type(&mut response, "application/problem+json");
            }
            Mishap::RateLimited { retry_after } => wait(&mut response, *retry_after, turn),
            Mishap::OrderStatus { status } => set_status(&mut response, status),
            Mishap::LocationElsewhere { origin } => move_location(&mut response, origin),
            Mishap::Chain(fault) => self.break_chain(&mut response, *fault, turn),
            _ => {}
        }
        if let Some(disruption) = mishap.disruption() {
            response.extensions_mut().insert(disruption);
        }
        response
    }

    fn break_chain(&self, response: &mut Response<Bytes>, fault: ChainFault, turn: &Turn<'_>) {
        let chain = String::from_utf8_lossy(response.body()).into_owned();
        let Some((leaf, rest)) = chain.split_once(END) else {
            return;
        };
        let foreign = self.authority.foreign_intermediate(turn.now);
        *response.body_mut() = match fault {
            ChainFault::Missing => format!("{leaf}{END}"),
            ChainFault::Reversed => format!("{rest}{leaf}{END}"),
            ChainFault::Foreign => format!("{leaf}{END}{}", foreign.unwrap_or_default()),
        }
        .into();
    }
}

fn failing(status: u16) -> Problem {
    Problem::new(Kind::ServerInternal, "failing on command").with_status(status)
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn set_type(response: &mut Response<Bytes>, content_type: &'static str) {
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
}

/// The page of a load balancer, which knows nothing of nonces.
fn page(response: &mut Response<Bytes>, status: u16) {
    let reason = status_code(status);
    let body = format!(
        "<html><head><title>{reason}</title></head><body><h1>{reason}</h1></body></html>\n"
    );
    response.headers_mut().clear();
    set_type(response, "text/html");
    *response.body_mut() = body.into();
}

fn wait(response: &mut Response<Bytes>, retry_after: RetryAfter, turn: &Turn<'_>) {
    let text = match retry_after {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Date(seconds) => {
            let then = turn.now.plus(Duration::from_secs(seconds)).as_unix();
            httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(then))
        }
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
}

fn set_status(response: &mut Response<Bytes>, status: &str) {
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(response.body()) {
        body.insert("status".into(), status.into());
        *response.body_mut() = Value::Object(body).to_string().into();
    }
}

fn move_location(response: &mut Response<Bytes>, origin: &str) {
    let old = response.headers().get(LOCATION);
    let path = old
        .and_then(|url| url.to_str().ok()?.parse::<Uri>().ok())
        .map(|url| url.path().to_owned());
    let moved = path.and_then(|path| HeaderValue::from_str(&format!("{origin}{path}")).ok());
    if let Some(moved) = moved {
        response.headers_mut().insert(LOCATION, moved);
    }
}
