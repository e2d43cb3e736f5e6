//! What is heard on a connection with two requests, without understanding more of it than
//! whether each was answered with 200.

use std::collections::BTreeMap;

use super::super::{Heard, judge::Said};
use crate::frames::{self, Frame};

/// Streams 1 and 3.
const STREAMS: usize = 2;
/// `:status: 200`, an entry of the static table (RFC 7541 appendix A).
const OK: u8 = 0x88;

#[derive(Debug, Default)]
pub(crate) struct Conversation {
    streams: BTreeMap<u32, Stream>,
    /// The edge has ended it.
    gone: bool,
}

#[derive(Debug, Default)]
struct Stream {
    ok: bool,
    body: Vec<u8>,
    ended: bool,
    reset: bool,
}

impl Conversation {
    /// Takes a frame up; what is to be said to it.
    pub(crate) fn take(&mut self, frame: Frame) -> Vec<u8> {
        match frame.kind {
            frames::SETTINGS if frame.flags & frames::ACK == 0 => {
                return frames::frame(frames::SETTINGS, frames::ACK, 0, b"");
            }
            frames::PING if frame.flags & frames::ACK == 0 => {
                return frames::frame(frames::PING, frames::ACK, 0, &frame.payload);
            }
            frames::GOAWAY => self.gone = true,
            frames::HEADERS | frames::DATA | frames::RST_STREAM => {
                let stream = self.streams.entry(frame.stream).or_default();
                stream.ended |= frame.flags & frames::END_STREAM != 0;
                match frame.kind {
                    frames::HEADERS => stream.ok |= frame.payload.first() == Some(&OK),
                    frames::DATA => stream.body.extend(frame.payload),
                    _ => (stream.ended, stream.reset) = (true, true),
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// Both were answered.
    pub(crate) fn is_over(&self) -> bool {
        let ended = self.streams.values().filter(|stream| stream.ended);
        ended.count() == STREAMS
    }

    /// What it came to.
    pub(crate) fn heard(self, closed: bool) -> Heard {
        let said = self.streams.into_values().filter(|stream| stream.ended);
        let said = said.map(|stream| match stream.ok && !stream.reset {
            true => Said::Answered(200, stream.body),
            false => Said::Refused,
        });
        Heard {
            said: said.collect(),
            over: closed || self.gone,
        }
    }
}
