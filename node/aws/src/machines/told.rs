//! What STS and EC2 tell of a machine, and whether it is the one that it must be.

use std::net::IpAddr;

use roxmltree::{Document, Node};

use crate::query::{child, is};

/// Whose some credentials are: `arn:aws:sts::123456789012:assumed-role/ROLE/SESSION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    partition: String,
    account: String,
    /// What follows the account.
    who: String,
}

impl Caller {
    pub(super) fn read(answer: &str) -> Option<Self> {
        let document = Document::parse(answer).ok()?;
        let arn = document
            .descendants()
            .find(|node| is(node, "Arn"))?
            .text()?;
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let ["arn", partition, "sts" | "iam", _, account, who] = &parts[..] else {
            return None;
        };
        Some(Self {
            partition: (*partition).to_owned(),
            account: (*account).to_owned(),
            who: (*who).to_owned(),
        })
    }

    /// The role and the id of the machine that this is, if it is one of the account of `own`.
    pub(super) fn machine_of(&self, own: &Self) -> Result<(&str, &str), String> {
        if (&self.partition, &self.account) != (&own.partition, &own.account) {
            return Err(format!(
                "the machine is of the account {}, which is not this cluster's",
                self.account
            ));
        }
        let role = self.who.strip_prefix("assumed-role/");
        // EC2 calls the session by the id of the instance.
        let (role, session) = role
            .and_then(|role| role.split_once('/'))
            .ok_or_else(|| format!("{} is no role of a machine", self.who))?;
        if is_instance_id(session) {
            Ok((role, session))
        } else {
            Err(format!("{} was not given to a machine by EC2", self.who))
        }
    }

    /// What no other machine is ever called.
    pub(super) fn arn_of(&self, region: &str, id: &str) -> String {
        let Self {
            partition, account, ..
        } = self;
        format!("arn:{partition}:ec2:{region}:{account}:instance/{id}")
    }
}

fn is_instance_id(text: &str) -> bool {
    text.strip_prefix("i-").is_some_and(|digits| {
        (8..=17).contains(&digits.len())
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// A machine as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Instance {
    pub(super) id: String,
    state: String,
    /// Its primary one.
    pub(super) private_address: Option<IpAddr>,
    /// All that it may call from within its network.
    addresses: Vec<IpAddr>,
    tags: Vec<(String, String)>,
}

impl Instance {
    pub(super) fn read_all(answer: &str) -> Option<Vec<Self>> {
        let document = Document::parse(answer).ok()?;
        let sets = document.descendants();
        let sets = sets.filter(|node| is(node, "instancesSet"));
        let items = sets.flat_map(|set| set.children().filter(|node| is(node, "item")));
        items.map(Self::read).collect()
    }

    fn read(item: Node<'_, '_>) -> Option<Self> {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let named = |name: &'static str| item.descendants().filter(move |node| is(node, name));
        let addresses = named("privateIpAddress").chain(named("ipv6Address"));
        let tags = item.children().find(|node| is(node, "tagSet"));
        let tags = tags.into_iter().flat_map(|set| set.children());
        let tags = tags.filter_map(|tag| {
            let value = child(tag, "value").unwrap_or_default();
            Some((child(tag, "key")?.to_owned(), value.to_owned()))
        });
        let state = item.children().find(|node| is(node, "instanceState"))?;
        Some(Self {
            id: child(item, "instanceId")?.to_owned(),
            state: child(state, "name")?.to_owned(),
            private_address: child(item, "privateIpAddress").and_then(address),
            addresses: addresses
                .filter_map(|node| node.text().and_then(address))
                .collect(),
            tags: tags.collect(),
        })
    }

    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        let found = self.tags.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether it runs, calls from where it is, and carries these tags.
    pub(super) fn check(&self, source: IpAddr, tags: &[(&str, &str)]) -> Result<(), String> {
        let id = &self.id;
        if self.state != "running" {
            return Err(format!("the machine {id} is {}, not running", self.state));
        }
        let source = source.to_canonical();
        if !self.addresses.contains(&source) {
            return Err(format!(
                "the call came from {source}, which is no address of the machine {id}"
            ));
        }
        let wrong = tags
            .iter()
            .find(|(key, value)| self.tag(key) != Some(value));
        match wrong {
            Some((key, value)) => Err(format!(
                "the machine {id} has the tag {key} = {}, not {value}",
                self.tag(key).unwrap_or("(none)")
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(arn: &str) -> Option<Caller> {
        Caller::read(&format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetCallerIdentityResult><Arn>{arn}</Arn></GetCallerIdentityResult>\
             </GetCallerIdentityResponse>"
        ))
    }

    #[test]
    fn only_a_machine_of_the_own_account_is_one() {
        let own =
            caller("arn:aws:sts::123456789012:assumed-role/edge-a/i-0123456789abcdef0").unwrap();
        let of = |arn: &str| {
            let caller = caller(arn).unwrap();
            let machine = caller.machine_of(&own);
            machine.map(|(role, id)| format!("{role} {id}"))
        };
        assert_eq!(
            of("arn:aws:sts::123456789012:assumed-role/edge-b/i-00000000"),
            Ok("edge-b i-00000000".to_owned())
        );
        for (arn, why) in [
            (
                "arn:aws:sts::999999999999:assumed-role/edge-b/i-00000000",
                "of the account 999999999999",
            ),
            (
                "arn:aws-cn:sts::123456789012:assumed-role/edge-b/i-00000000",
                "of the account",
            ),
            (
                "arn:aws:iam::123456789012:user/alice",
                "no role of a machine",
            ),
            (
                "arn:aws:sts::123456789012:assumed-role/edge-b/alice",
                "not given to a machine",
            ),
            (
                "arn:aws:sts::123456789012:assumed-role/edge-b/i-0000/i-00000000",
                "not given to a machine",
            ),
            (
                "arn:aws:sts::123456789012:assumed-role/edge-b/i-00000000&amp;x=y",
                "not given to a machine",
            ),
        ] {
            let error = of(arn).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(caller("what is this"), None);
        assert_eq!(Caller::read("<A/>"), None);
        assert_eq!(
            own.arn_of("eu-central-1", "i-1"),
            "arn:aws:ec2:eu-central-1:123456789012:instance/i-1"
        );
    }

    /// As EC2's documentation shows an answer, shortened.
    const DESCRIBED: &str = "\
        <DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
        <requestId>1</requestId><reservationSet><item><ownerId>123456789012</ownerId>\
        <instancesSet><item><instanceId>i-0a</instanceId>\
        <instanceState><code>16</code><name>running</name></instanceState>\
        <privateIpAddress>10.0.0.5</privateIpAddress><tagSet>\
        <item><key>hostquorum:node</key><value>b</value></item>\
        <item><key>hostquorum:cluster</key><value>edge</value></item>\
        <item><key>empty</key><value/></item></tagSet>\
        <networkInterfaceSet><item><tagSet><item><key>hostquorum:node</key><value>x</value></item>\
        </tagSet><privateIpAddressesSet>\
        <item><privateIpAddress>10.0.0.5</privateIpAddress><primary>true</primary></item>\
        <item><privateIpAddress>10.0.0.6</privateIpAddress></item></privateIpAddressesSet>\
        <ipv6AddressesSet><item><ipv6Address>2001:db8::5</ipv6Address></item></ipv6AddressesSet>\
        </item></networkInterfaceSet></item></instancesSet></item></reservationSet>\
        </DescribeInstancesResponse>";

    #[test]
    fn a_machine_runs_where_it_calls_from_and_carries_its_tags() {
        let read = |text: &str| Instance::read_all(text).unwrap().remove(0);
        let machine = read(DESCRIBED);
        assert_eq!(machine.private_address, Some("10.0.0.5".parse().unwrap()));
        assert_eq!(machine.tag("empty"), Some(""));
        let tags = [("hostquorum:cluster", "edge"), ("hostquorum:node", "b")];
        let check = |machine: &Instance, source: &str, tags: &[(&str, &str)]| {
            machine.check(source.parse().unwrap(), tags)
        };
        for source in ["10.0.0.5", "10.0.0.6", "::ffff:10.0.0.5", "2001:db8::5"] {
            check(&machine, source, &tags).unwrap();
        }
        let elsewhere = check(&machine, "10.0.0.7", &tags).unwrap_err();
        assert!(elsewhere.contains("10.0.0.7"), "{elsewhere}");
        let renamed = [tags[0], ("hostquorum:node", "x")];
        let renamed = check(&machine, "10.0.0.5", &renamed).unwrap_err();
        assert!(renamed.contains("hostquorum:node = b, not x"), "{renamed}");
        let stopped = read(&DESCRIBED.replace("running", "stopping"));
        check(&stopped, "10.0.0.5", &tags).unwrap_err();
        assert_eq!(
            Instance::read_all("<DescribeInstancesResponse/>"),
            Some(Vec::new())
        );
        assert_eq!(Instance::read_all("{}"), None);
    }
}
