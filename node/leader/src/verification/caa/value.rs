//! The value of an `issue` property.

/// `issuer-domain-name *(; tag=value)` (RFC 8659 section 4.2).
pub(super) struct IssueValue<'a> {
    pub(super) domain: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> IssueValue<'a> {
    /// `None` if it is malformed, which is as if it named no CA.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(trim);
        let domain = parts.next().unwrap_or_default();
        let mut parameters = Vec::new();
        let mut parts: Vec<&str> = parts.collect();
        // A semicolon at the end is common, and harmless.
        if parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        for part in parts {
            let (tag, value) = part.split_once('=')?;
            let (tag, value) = (trim(tag), trim(value));
            let good_tag =
                !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            // Printable, without space and semicolon.
            let good_value = value.bytes().all(|b| (0x21..=0x7e).contains(&b));
            if !good_tag || !good_value {
                return None;
            }
            parameters.push((tag, value));
        }
        let good_domain = domain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
        good_domain.then_some(Self { domain, parameters })
    }

    /// The values of all parameters of this name.
    pub(super) fn all(&self, tag: &str) -> impl Iterator<Item = &'a str> {
        let matching = self
            .parameters
            .iter()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(tag));
        matching.map(|(_, value)| *value)
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
