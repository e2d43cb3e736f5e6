//! Frames of an HTTP/2 client that cost us an answer or attention and move nothing.
//!
//! h2 bounds streams, resets and headers, but answers every PING and every SETTINGS
//! (CVE-2019-9512, CVE-2019-9515), and reads whatever else it does not know. Here they are
//! counted as they come, by the headers of frames alone (RFC 9113 section 4.1).

use tokio::time::Instant;

use crate::limits::{IDLE_FRAMES, IDLE_FRAMES_A_SECOND, WRITTEN_FOR_IDLE_FRAME};

/// What a client sends before its first frame (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const HEADER: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Too many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client sends more PING, SETTINGS and other frames than it has use for")]
pub(crate) struct Flood;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Of the preface, or of a frame's payload, to be left out.
    skip: usize,
    header: [u8; HEADER],
    /// Bytes of `header` that have come.
    begun: usize,
    /// How many more are let pass.
    left: u32,
    filled: Instant,
    /// Bytes written since one more was allowed for them.
    written: usize,
}

impl Frames {
    /// Of a connection whose preface is yet to come.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE,
            header: [0; HEADER],
            begun: 0,
            left: IDLE_FRAMES,
            filled: now,
            written: 0,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    ///
    /// When more came than are let pass: the connection is to end.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let here = self.skip.min(bytes.len());
                self.skip -= here;
                bytes = &bytes[here..];
                continue;
            }
            let here = (HEADER - self.begun).min(bytes.len());
            self.header[self.begun..self.begun + here].copy_from_slice(&bytes[..here]);
            self.begun += here;
            bytes = &bytes[here..];
            if self.begun == HEADER {
                self.begun = 0;
                let [a, b, c, kind, ..] = self.header;
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.skip = length;
                self.frame(kind)?;
            }
        }
        Ok(())
    }

    /// So many bytes were written to the client. Whoever is sent much may ask for much: clients
    /// measure the way with PINGs while a body comes in.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
        if self.written >= WRITTEN_FOR_IDLE_FRAME {
            let more = u32::try_from(self.written / WRITTEN_FOR_IDLE_FRAME).unwrap_or(u32::MAX);
            self.written %= WRITTEN_FOR_IDLE_FRAME;
            self.left = self.left.saturating_add(more).min(IDLE_FRAMES);
        }
    }

    fn frame(&mut self, kind: u8) -> Result<(), Flood> {
        // Of these h2 keeps account: of what is in them, and of what they end.
        if matches!(
            kind,
            DATA | HEADERS | RST_STREAM | WINDOW_UPDATE | CONTINUATION
        ) {
            return Ok(());
        }
        if self.left == 0 {
            self.fill(Instant::now());
        }
        self.left = self.left.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }

    /// Only when there is none left, so that no clock is read for who behaves.
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs();
        let more = passed.saturating_mul(u64::from(IDLE_FRAMES_A_SECOND));
        if more > 0 {
            self.filled = now;
        }
        self.left = u32::try_from(more).unwrap_or(u32::MAX).min(IDLE_FRAMES);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    const PING: u8 = 6;
    const SETTINGS: u8 = 4;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, 0, 0, 0, 0, 0]);
        frame.resize(HEADER + length, 0xff);
        frame
    }

    fn after_preface() -> Frames {
        let mut frames = Frames::new(Instant::now());
        frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames
    }

    /// How many are let pass, at most as many as are tried.
    fn passed(frames: &mut Frames, kind: u8, length: usize, tried: u32) -> u32 {
        let frame = frame(kind, length);
        (0..tried)
            .take_while(|_| frames.read(&frame).is_ok())
            .count()
            .try_into()
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_nothing_is_bounded_and_what_does_is_not() {
        for (kind, length, bounded) in [
            (PING, 8, true),
            (SETTINGS, 0, true),
            (SETTINGS, 36, true),
            (2, 5, true),
            (0x42, 16_384, true),
            (DATA, 100, false),
            (HEADERS, 100, false),
            (WINDOW_UPDATE, 4, false),
        ] {
            let tried = 3 * IDLE_FRAMES;
            let expected = if bounded { IDLE_FRAMES } else { tried };
            let passed = passed(&mut after_preface(), kind, length, tried);
            assert_eq!(passed, expected, "kind {kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_what_is_written_allow_more() {
        let mut frames = after_preface();
        passed(&mut frames, PING, 8, IDLE_FRAMES);
        advance(Duration::from_secs(2)).await;
        let two_seconds = 2 * IDLE_FRAMES_A_SECOND;
        assert_eq!(passed(&mut frames, PING, 8, u32::MAX), two_seconds);
        let mut frames = after_preface();
        passed(&mut frames, PING, 8, IDLE_FRAMES);
        frames.wrote(3 * WRITTEN_FOR_IDLE_FRAME + 1);
        assert_eq!(passed(&mut frames, PING, 8, u32::MAX), 3);
        // The answers to PINGs alone pay for next to none.
        let mut frames = after_preface();
        let ping = frame(PING, 8);
        let mut count = 0;
        while frames.read(&ping).is_ok() {
            frames.wrote(ping.len());
            count += 1;
        }
        assert!(count < IDLE_FRAMES + IDLE_FRAMES / 100, "{count}");
    }

    #[tokio::test(start_paused = true)]
    async fn frames_are_found_however_they_are_cut() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for _ in 0..3 {
            bytes.extend(frame(PING, 8));
            bytes.extend(frame(DATA, 21));
        }
        for size in 1..40 {
            let mut frames = Frames::new(Instant::now());
            for piece in bytes.chunks(size) {
                frames.read(piece).unwrap();
            }
            assert_eq!(frames.left, IDLE_FRAMES - 3, "pieces of {size}");
        }
    }
}
