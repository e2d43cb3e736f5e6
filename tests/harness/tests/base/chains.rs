//! RFC 8555 section 7.4.2.

use serde_json::Value;

use crate::client::Answer;
use crate::orders::names;
use crate::world::{ALTERNATES, World};

/// The URLs of the other chains of a certificate.
fn alternates(chain: &Answer) -> Vec<String> {
    let links = chain.headers.get_all("link").iter();
    let links = links.map(|link| link.to_str().unwrap());
    links
        .filter_map(|link| {
            let (url, relation) = link.strip_prefix('<')?.split_once('>')?;
            relation
                .contains("rel=\"alternate\"")
                .then(|| url.to_owned())
        })
        .collect()
}

/// Every chain has the same leaf, and another issuer's certificate.
pub(crate) async fn alternate_chains_are_linked(world: &mut World) {
    let (account, order) = world.ready().await;
    let chain = world.issued(&account, &order).await;
    let urls = alternates(&chain);
    assert_eq!(urls.len(), usize::from(ALTERNATES), "{chain:?}");
    let leaf = |chain: &str| chain.split("-----END").next().unwrap().to_owned();
    let mut seen = vec![chain.text.clone()];
    for url in &urls {
        let other = world.client.post(&account, url, &Value::Null).await;
        let other = other.expect(200);
        assert_eq!(names(&other.text), order.names);
        assert_eq!(leaf(&other.text), leaf(&chain.text));
        assert!(!seen.contains(&other.text), "{url} is none of its own");
        seen.push(other.text);
    }
}
