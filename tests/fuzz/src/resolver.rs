//! Resolvers' and name servers' replies: customers choose who answers for their names.

use leader::verification::{
    answer::{Answer, Kind, Outcome},
    name::DnsName,
    resolver::fuzzing::{CHAIN_MOST, Served, reply},
};

/// What our question had.
const ID: u16 = 4711;
/// What our question was for.
const NAME: &str = "shop.client.example";
/// Whose servers were asked.
const ZONE: &str = "client.example";
/// Each kind that is asked for.
const KINDS: [Kind; 6] = [
    Kind::A,
    Kind::Aaaa,
    Kind::Txt,
    Kind::Caa,
    Kind::Ns,
    Kind::Soa,
];

/// Reads a reply to a question for the kind that the first byte chooses.
pub fn target(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else {
        return;
    };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let (name, zone) = (DnsName::parse(NAME).unwrap(), DnsName::parse(ZONE).unwrap());
    let Some(read) = reply(ID, bytes, &name, kind, &zone) else {
        return;
    };
    check(&read.resolved);
    match &read.served {
        Served::Final(answer) => {
            check(answer);
            assert!(answer.outcome.is_answer());
            // What a server says of names outside of its zone is not believed.
            if let (Outcome::Records(_), Some(last)) = (&answer.outcome, answer.chain.last()) {
                assert!(last.is_within(&zone), "{last}");
            }
        }
        Served::Away(chain) => {
            assert!((1..=CHAIN_MOST + 1).contains(&chain.len()));
        }
        Served::Referral(below, servers, glue) => {
            assert!(below.is_within(&zone) && *below != zone, "{below}");
            assert!(name.is_within(below), "{below}");
            assert!(!servers.is_empty() || bytes.len() > 12);
            for (owner, _) in glue {
                assert!(owner.is_within(&zone), "{owner}");
            }
        }
        Served::Nothing(_) => {}
    }
}

fn check(answer: &Answer) {
    assert!(answer.chain.len() <= CHAIN_MOST + 1);
    if let Outcome::Records(records) = &answer.outcome {
        assert!(!records.is_empty());
        assert!(
            records.is_sorted_by(|one, other| one < other),
            "{records:?}"
        );
    }
}
