//! How a request is told apart: its id, and the trace that it belongs to (W3C Trace
//! Context). Nodes take part in traces by passing them on, and record no spans.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderName, HeaderValue};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// How requests are told apart on their way to origins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Each gets an id, which its origin is told in `x-request-id`.
    pub request_id: bool,
    /// What becomes of clients' trace context.
    pub context: TraceContext,
    /// One in how many new traces is marked to be recorded; 0: none.
    pub one_in: u32,
}

/// What becomes of clients' trace context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TraceContext {
    /// It is a header field like others.
    #[default]
    Pass,
    /// Origins get none.
    Drop,
    /// Each request has a trace of its own.
    New,
    /// A valid one is passed on, else there is a new one.
    Accept,
}

/// One core's source of ids.
#[derive(Debug)]
pub(crate) struct Tracer {
    trace: Trace,
    /// Keyed at random: what it makes of numbers in a row cannot be guessed or met again.
    ids: RandomState,
    drawn: AtomicU64,
    traces: AtomicU64,
}

/// What a request is marked with.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    request_id: Option<Box<str>>,
    context: Context,
}

#[derive(Clone, Debug)]
enum Context {
    Untouched,
    Removed,
    /// The client's `traceparent`, valid.
    Accepted(Box<str>),
    /// The same, of our own making.
    Made(Box<str>),
}

impl Tracer {
    /// None if there is nothing to mark.
    pub(crate) fn new(trace: Trace) -> Option<Self> {
        (trace.request_id || trace.context != TraceContext::Pass).then(|| Self {
            trace,
            ids: RandomState::new(),
            drawn: AtomicU64::new(0),
            traces: AtomicU64::new(0),
        })
    }

    /// The marks of a request with these fields.
    pub(crate) fn mark(&self, headers: &HeaderMap) -> Marks {
        let made = || Context::Made(self.traceparent().into());
        Marks {
            request_id: self
                .trace
                .request_id
                .then(|| format!("{:016x}{:016x}", self.draw(), self.draw()).into()),
            context: match self.trace.context {
                TraceContext::Pass => Context::Untouched,
                TraceContext::Drop => Context::Removed,
                TraceContext::New => made(),
                TraceContext::Accept => match valid(headers) {
                    Some(traceparent) => Context::Accepted(traceparent.into()),
                    None => made(),
                },
            },
        }
    }

    fn traceparent(&self) -> String {
        let number = self.traces.fetch_add(1, Relaxed);
        let one_in = u64::from(self.trace.one_in);
        let recorded = one_in != 0 && number.is_multiple_of(one_in);
        // Neither part may be zero.
        let (trace, parent) = (self.draw(), self.draw().max(1));
        format!(
            "00-{trace:016x}{:016x}-{parent:016x}-{:02x}",
            self.draw().max(1),
            u8::from(recorded)
        )
    }

    fn draw(&self) -> u64 {
        self.ids.hash_one(self.drawn.fetch_add(1, Relaxed))
    }
}

impl Marks {
    /// The request's id.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The id of its trace, where we know it.
    pub(super) fn trace_id(&self) -> Option<&str> {
        match &self.context {
            Context::Untouched | Context::Removed => None,
            // Both are of the form that `valid` asks for.
            Context::Accepted(traceparent) | Context::Made(traceparent) => traceparent.get(3..35),
        }
    }

    /// Writes what the origin is told.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(id) = self.request_id() {
            set(headers, REQUEST_ID, id);
        }
        match &self.context {
            Context::Untouched | Context::Accepted(_) => {}
            Context::Removed => {
                headers.remove(TRACEPARENT);
                headers.remove(TRACESTATE);
            }
            Context::Made(traceparent) => {
                headers.remove(TRACESTATE); // it belongs to the one that is replaced
                set(headers, TRACEPARENT, traceparent);
            }
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Digits and hyphens are always a value.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The one `traceparent` of a request, if it is as the recommendation wants it.
fn valid(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(TRACEPARENT).iter();
    let only = fields.next().filter(|_| fields.next().is_none())?;
    let text = only.to_str().ok()?;
    let hex = |from: usize, to: usize| {
        let part = text.get(from..to)?;
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.bytes().all(lower).then_some(part)
    };
    let hyphens = [2, 35, 52].map(|at| text.as_bytes().get(at) == Some(&b'-'));
    let (version, trace, parent) = (hex(0, 2)?, hex(3, 35)?, hex(36, 52)?);
    hex(53, 55)?;
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let ends = match version {
        "ff" => false,
        "00" => text.len() == 55,
        // Later ones may have more behind.
        _ => text.len() == 55 || text.as_bytes().get(55) == Some(&b'-'),
    };
    (hyphens == [true; 3] && ends && !zero(trace) && !zero(parent)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn fields(of: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn tracer(context: TraceContext) -> Tracer {
        let trace = Trace {
            context,
            one_in: 2,
            ..Trace::default()
        };
        Tracer::new(trace).unwrap()
    }

    #[test]
    fn only_what_the_recommendation_allows_is_valid() {
        for (text, expected) in [
            (GOOD, true),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                true,
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
                true,
            ),
            (
                "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
                false,
            ),
            (
                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                false,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
                false,
            ),
            (
                "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                false,
            ),
            ("", false),
        ] {
            let headers = fields(&[("traceparent", text)]);
            assert_eq!(valid(&headers).is_some(), expected, "{text}");
        }
        let twice = fields(&[("traceparent", GOOD), ("traceparent", GOOD)]);
        assert_eq!(valid(&twice), None);
    }

    #[test]
    fn origins_get_what_was_decided() {
        use TraceContext::{Accept, Drop, New};
        for (context, sent, kept) in [
            (Drop, GOOD, false),
            (New, GOOD, false),
            (Accept, GOOD, true),
            (Accept, "00-nonsense", false),
        ] {
            let mut headers = fields(&[("traceparent", sent), ("tracestate", "a=b")]);
            let marks = tracer(context).mark(&headers);
            marks.tell(&mut headers);
            let told = headers.get(TRACEPARENT).map(|it| it.to_str().unwrap());
            assert_eq!(told == Some(sent), kept, "{context:?} {sent}");
            assert_eq!(headers.contains_key(TRACESTATE), kept, "{context:?} {sent}");
            assert_eq!(told.is_some(), context != Drop);
            assert_eq!(marks.trace_id(), told.map(|told| &told[3..35]));
            assert!(told.is_none() || valid(&headers).is_some(), "{told:?}");
        }
    }

    #[test]
    fn one_in_so_many_new_traces_is_recorded() {
        let tracer = tracer(TraceContext::New);
        let mut flags = Vec::new();
        for _ in 0..4 {
            let mut headers = HeaderMap::new();
            tracer.mark(&headers).tell(&mut headers);
            flags.push(headers[TRACEPARENT].to_str().unwrap()[53..].to_owned());
        }
        assert_eq!(flags, ["01", "00", "01", "00"]);
    }

    #[test]
    fn ids_differ_and_take_the_place_of_a_clients() {
        let trace = Trace {
            request_id: true,
            ..Trace::default()
        };
        let tracer = Tracer::new(trace).unwrap();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let mut headers = fields(&[("x-request-id", "mine"), ("traceparent", GOOD)]);
            let marks = tracer.mark(&headers);
            marks.tell(&mut headers);
            let told = headers[REQUEST_ID].to_str().unwrap().to_owned();
            assert_eq!((told.len(), marks.request_id()), (32, Some(&*told)));
            assert_eq!(headers[TRACEPARENT], GOOD);
            assert!(seen.insert(told));
        }
        assert!(Tracer::new(Trace::default()).is_none());
    }
}
