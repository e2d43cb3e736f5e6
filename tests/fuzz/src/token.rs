//! A join token's text: pasted by a person, or by anything.

use enroll::Token;

/// Reads a text as a token.
pub fn target(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match text.parse::<Token>() {
        Ok(token) => {
            let written = token.to_string();
            assert_eq!(written.parse(), Ok(token.clone()), "{written:?}");
            // Capitals in base32 and leading zeros are all that is forgiven.
            assert!(written.len() <= text.trim().len());
            let secret = written.rsplit('.').next().unwrap_or_default();
            assert!(!format!("{token:?}").contains(&secret[..8]));
        }
        Err(error) => crate::is_fit_to_show(&error.to_string()),
    }
}
