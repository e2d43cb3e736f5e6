//! Odd and hostile framings, each sent through the edge to every origin, with a benign
//! request behind it. Whatever the edge lets pass is one request: the origin sees it as the
//! edge wrote and logged it, answers once, and that answer comes back; the request behind
//! it is answered as itself, or not at all.

mod http1;
mod http2;
mod judge;
mod road;

use std::collections::HashSet;

use harness::wait;

use self::{
    judge::{Judge, Said},
    road::{Next, PATIENCE, Road},
};
use crate::{
    edge::HOST,
    frames,
    messages::{self, find},
    origins::{self, Origin},
};

/// Stands in a framing for a target of its own, which is as long: HTTP/2 tells its length.
const PATH: &str = "/case-NNNN";
/// Bytes of a client.
pub(crate) struct Framing {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// All of them. Each is asked for at a target of its own.
fn all() -> Vec<Framing> {
    let mut all = http1::all();
    all.extend(http2::all());
    all
}

/// What a client heard.
#[derive(Debug, Default)]
struct Heard {
    said: Vec<Said>,
    /// Nothing more can come on this connection.
    over: bool,
}

/// Sends all framings to an origin.
async fn check(name: &str, origin: Origin) {
    let road = Road::to(&origin).await;
    let mut judge = Judge::default();
    for (number, framing) in all().iter().enumerate() {
        let case = format!("/case-{number:04}");
        let after = format!("/after-{number:04}");
        let mut bytes = framing.bytes.clone();
        while let Some(at) = find(&bytes, PATH.as_bytes()) {
            bytes.splice(at..at + PATH.len(), case.bytes());
        }
        let heard = match framing.protocol {
            Protocol::Http1 => over_http1(&road, &bytes, &after).await,
            Protocol::Http2 => over_http2(&road, &bytes, &after).await,
        };
        let heard = heard.unwrap_or_else(|why| panic!("{name}, {}: {why}", framing.name));
        let noted = road
            .settled()
            .await
            .unwrap_or_else(|why| panic!("{name}, {}: {why}", framing.name));
        judge.framing(&framing.name, [&case, &after], &heard, noted);
    }
    wait::within(PATIENCE, || async {
        judge.all_logged(&road.edge.logged()).then_some(())
    })
    .await;
    judge.compare(&road.edge.logged());
    judge.tell(name);
}

async fn over_http1(road: &Road, framing: &[u8], after: &str) -> Result<Heard, String> {
    let follower = format!("GET {after} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    let bytes = [framing, follower.as_bytes()].concat();
    let mut talk = road.say("http/1.1", &bytes).await;
    let over = loop {
        match talk.next().await? {
            Next::More => {}
            next => break next == Next::End,
        }
    };
    let mut heard = Heard {
        over,
        ..Heard::default()
    };
    let mut rest = &*talk.read;
    while let Some((message, took)) = messages::response(rest, over)? {
        rest = &rest[took..];
        heard.over |= message.closes();
        // What hyper refuses has no body, and neither has an answer to `OPTIONS *`. All
        // origins say something.
        let ours = message.field("hostquorum-error").is_some() || message.body.is_empty();
        heard.said.push(if ours {
            Said::Refused
        } else {
            Said::Answered(message.status(), message.body)
        });
    }
    Ok(heard)
}

/// The framing is about stream 1; the request behind it is stream 3's.
async fn over_http2(road: &Road, framing: &[u8], after: &str) -> Result<Heard, String> {
    let follower = frames::frame(
        frames::HEADERS,
        frames::END_HEADERS | frames::END_STREAM,
        3,
        &frames::block(&http2::head("GET", after)),
    );
    let bytes = [frames::PREFACE, framing, &follower].concat();
    let mut talk = road.say("h2", &bytes).await;
    let mut conversation = http2::Conversation::default();
    while !conversation.is_over() {
        match talk.next().await? {
            Next::Nothing => return Ok(conversation.heard(false)),
            Next::End => return Ok(conversation.heard(true)),
            Next::More => {
                while let Some(frame) = frames::next(&mut talk.read) {
                    let answer = conversation.take(frame);
                    talk.say(&answer).await;
                }
            }
        }
    }
    Ok(conversation.heard(false))
}

#[test]
fn there_are_as_many_as_we_say() {
    let all = all();
    let of = |protocol| all.iter().filter(|it| it.protocol == protocol).count();
    let (http1, http2) = (of(Protocol::Http1), of(Protocol::Http2));
    assert!(http1 >= 300 && http2 >= 60, "{http1} and {http2}");
    let mut names = HashSet::new();
    let twice = all.iter().find(|it| !names.insert(&*it.name));
    assert_eq!(twice.map(|it| &*it.name), None, "it stands for two");
}

macro_rules! origins {
    ($($name:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            check(stringify!($name), origins::$name().await).await;
        }
    )*};
}

origins!(
    echo, nginx, apache, haproxy, lighttpd, gunicorn, uvicorn, node
);
