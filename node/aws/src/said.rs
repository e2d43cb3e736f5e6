//! What AWS said, as it may stand in a message of ours.

use std::error::Error;

use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};

/// Longest text of theirs in a message of ours.
const TEXT_MAX: usize = 400;

/// Something that AWS did not do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was not reached, was not in time, or has enough to do: trying again may help.
    Out(String),
    /// It answered, with this code and these words.
    Answered {
        /// As the API calls it, such as `AccessDeniedException`.
        code: String,
        /// In its own words.
        words: String,
    },
}

/// Codes with which AWS asks to come again, beside those that each service has.
const COME_AGAIN: [&str; 8] = [
    "InternalError",
    "InternalFailure",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

impl Failure {
    /// Reads an error of the kit. `come_again` are the service's own codes that mean so.
    pub(crate) fn of<E, R>(error: &SdkError<E, R>, come_again: &[&str]) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        let Some(answer) = error.as_service_error() else {
            return Self::Out(chain(error));
        };
        let code = answer.code().unwrap_or("no code");
        let words = answer.message().unwrap_or("no further words");
        Self::answered(code, words, come_again)
    }

    /// Reads an answer that is a refusal, or asks to come again.
    pub(crate) fn answered(code: &str, words: &str, come_again: &[&str]) -> Self {
        let (code, words) = (bounded(code), bounded(words));
        if COME_AGAIN
            .iter()
            .chain(come_again)
            .any(|known| *known == code)
        {
            return Self::Out(format!("{code}: {words}"));
        }
        Self::Answered { code, words }
    }
}

/// An error and its causes, by their words alone: the kit's own display shows answers, too, in which
/// there may be keys.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    bounded(&text)
}

/// Without what could confuse a terminal or fill a log.
pub(crate) fn bounded(text: &str) -> String {
    let visible = text.chars().filter(|c| !c.is_control());
    visible.take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_bounded_and_shows_no_control_character() {
        assert_eq!(bounded("a\u{1b}[2Jb\nc"), "a[2Jbc");
        assert_eq!(bounded(&"ä".repeat(1000)).chars().count(), TEXT_MAX);
    }
}
