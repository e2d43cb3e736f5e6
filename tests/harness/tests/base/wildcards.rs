//! RFC 8555 sections 7.1.3 and 8.4.

use crate::orders::names;
use crate::world::World;

/// Two authorizations of one name, one of them marked as the wildcard's and proven by
/// dns-01 alone; two texts stand at one name.
pub(crate) async fn a_wildcard_and_its_base_are_proven_by_dns(world: &mut World) {
    let account = world.client.account().await;
    let base = world.name();
    let wildcard = format!("*.{base}");
    let order = world.order(&account, &[&base, &wildcard]).await;
    assert_eq!(order.authorizations().len(), 2);
    let mut marked = 0;
    for url in order.authorizations() {
        let shown = world.show(&account, &url).await;
        assert_eq!(shown["identifier"]["value"], base.as_str());
        if shown["wildcard"] == true {
            marked += 1;
            let challenges = shown["challenges"].as_array().unwrap().iter();
            let kinds: Vec<_> = challenges.map(|it| it["type"].clone()).collect();
            assert_eq!(kinds, ["dns-01"]);
        }
    }
    assert_eq!(marked, 1);
    world.prove_by_dns(&account, &order).await;
    let chain = world.issued(&account, &order).await;
    assert_eq!(names(&chain.text), [wildcard, base]);
}
