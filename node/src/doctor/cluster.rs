//! The cluster, as the node of this machine tells it, and the roads to its other members.

use std::{path::Path, time::Duration};

use hyper_util::rt::TokioIo;
use proto::admin::v1::{
    Ca, ClusterStatus, GetStatusRequest, GetZoneRequest, ListBucketsRequest, ListCasRequest,
    Member, cas_client::CasClient, cluster_client::ClusterClient, ledger_client::LedgerClient,
    zones_client::ZonesClient,
};
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tonic::transport::{Channel, Endpoint};

use super::{Finding, Verdict, WITHIN};
use crate::socket;

const OF: &str = "cluster";

/// Clocks further apart than this make what is driven by time rest.
const CLOCK_MOST: Duration = Duration::from_secs(5);

/// And further than this, something does not keep them.
const CLOCK_ODD: Duration = Duration::from_millis(500);

/// Members report several times a second.
const SILENT: Duration = Duration::from_secs(3);

/// The node of this machine.
pub(super) struct Node {
    channel: Channel,
    /// Its process.
    pub(super) process: Option<i32>,
    status: ClusterStatus,
}

impl Node {
    /// Reaches it by its socket, if it runs and belongs to a cluster.
    pub(super) async fn reach(data_dir: &Path) -> Option<Self> {
        let connect = UnixStream::connect(data_dir.join(socket::NAME));
        let stream = timeout(WITHIN, connect).await.ok()?.ok()?;
        let process = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let mut stream = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async move { stream.ok_or_else(|| std::io::Error::other("the node hung up")) }
        });
        // The address is never dialed: the connector brings the stream.
        let endpoint = Endpoint::from_static("http://socket");
        let connected = endpoint.connect_with_connector(connector);
        let channel = timeout(WITHIN, connected).await.ok()?.ok()?;
        let mut cluster = ClusterClient::new(channel.clone());
        let asked = timeout(WITHIN, cluster.get_status(GetStatusRequest {})).await;
        let status = asked.ok()?.ok()?.into_inner();
        Some(Self {
            channel,
            process,
            status,
        })
    }

    /// The CAs that it knows.
    pub(super) async fn cas(&self) -> Option<Vec<Ca>> {
        let mut cas = CasClient::new(self.channel.clone());
        let asked = timeout(WITHIN, cas.list_cas(ListCasRequest::default())).await;
        Some(asked.ok()?.ok()?.into_inner().cas)
    }

    /// What it tells of the whole, for whoever is to help. Secrets are in none of these
    /// answers, and where one could be its message shows none.
    pub(super) async fn told(&self) -> Vec<(&'static str, String)> {
        let mut ledger = LedgerClient::new(self.channel.clone());
        let mut zones = ZonesClient::new(self.channel.clone());
        let buckets = ledger.list_buckets(ListBucketsRequest::default());
        let buckets = timeout(WITHIN, buckets).await;
        let zone = timeout(
            WITHIN,
            zones.get_zone(GetZoneRequest {
                name: "zones/default".to_owned(),
            }),
        )
        .await;
        vec![
            ("status", format!("{:#?}", self.status)),
            ("CAs", format!("{:#?}", self.cas().await)),
            ("ledger", format!("{buckets:#?}")),
            ("zone", format!("{zone:#?}")),
        ]
    }

    pub(super) async fn examine(&self) -> Vec<Finding> {
        let mut found = health(&self.status);
        for member in &self.status.members {
            found.push(heard(member, &self.status.version));
        }
        let others = self.status.members.iter();
        for member in others.filter(|member| member.name != self.status.member) {
            for (what, address) in [
                ("peers", &member.peer_address),
                ("operators", &member.admin_address),
            ] {
                found.extend(road(member, what, address).await);
            }
        }
        found
    }
}

/// What the node says of the whole.
fn health(status: &ClusterStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    found.push(if !status.replica_fault.is_empty() {
        let said = format!("this node's replica has stopped: {}", status.replica_fault);
        Finding::bad(OF, said)
    } else if !status.quorum {
        Finding::bad(
            OF,
            "there is no quorum: nothing can be changed or issued; are a majority of the voters up, \
             and do they reach each other?",
        )
    } else {
        let said = format!("there is a quorum, {} leads", status.leader);
        Finding::good(OF, said)
    });
    if let Some(pause) = &status.issuance_pause {
        let said = format!("{} has paused issuance: {}", pause.by, pause.reason);
        found.push(Finding::odd(OF, said));
    }
    let warnings = status.warnings.iter();
    found.extend(warnings.map(|warning| Finding::odd(OF, warning.clone())));
    found
}

/// What a member last said of itself.
fn heard(member: &Member, version: &str) -> Finding {
    let who = format!("{} ({})", member.node_name, member.name);
    let Some(report) = &member.report else {
        return Finding::odd(OF, format!("{who} was never heard"));
    };
    let silent = Duration::from_millis(report.silent_ms);
    let off = Duration::from_millis(report.clock_offset_ms.unsigned_abs());
    let mut faults = report.faults.clone();
    let mut verdict = match faults.is_empty() {
        true => Verdict::Good,
        false => Verdict::Bad,
    };
    let mut add = |worst: Verdict, fault: String| {
        verdict = verdict.max(worst);
        faults.push(fault);
    };
    if silent > SILENT {
        add(Verdict::Bad, format!("silent for {silent:.0?}"));
    }
    if off > CLOCK_MOST {
        add(Verdict::Bad, format!("its clock is {off:.1?} off ours"));
    } else if off > CLOCK_ODD {
        add(Verdict::Odd, format!("its clock is {off:.1?} off ours"));
    }
    if report.version != version {
        let other = format!("it runs {}, this node {version}", report.version);
        add(Verdict::Odd, other);
    }
    if report.draining {
        add(Verdict::Odd, "it is draining".to_owned());
    }
    if faults.is_empty() {
        faults.push("it is well".to_owned());
    }
    Finding::new(OF, verdict, format!("{who}: {}", faults.join("; ")))
}

/// Whether a member's address can be connected to from here.
async fn road(member: &Member, what: &str, address: &str) -> Option<Finding> {
    if address.is_empty() {
        return None;
    }
    let who = format!("{} for {what}, {address}", member.node_name);
    Some(match timeout(WITHIN, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Finding::good("roads", format!("{who}: connected")),
        Ok(Err(error)) => Finding::bad("roads", format!("{who}: {error}")),
        Err(_) => Finding::bad(
            "roads",
            format!("{who}: no answer in time; does a firewall drop it?"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use proto::admin::v1::{IssuancePause, Report};

    use super::*;

    fn member(edit: impl FnOnce(&mut Report)) -> Member {
        let mut report = Report {
            version: "1".to_owned(),
            silent_ms: 100,
            ..Report::default()
        };
        edit(&mut report);
        Member {
            node_name: "node-2".to_owned(),
            report: Some(report),
            ..Member::default()
        }
    }

    #[test]
    fn what_members_say_of_themselves_is_judged() {
        use Verdict::{Bad, Good, Odd};
        type Edit = fn(&mut Report);
        let cases: [(Verdict, Edit); 7] = [
            (Good, |_| {}),
            (Good, |report| report.clock_offset_ms = -500),
            (Odd, |report| report.clock_offset_ms = -501),
            (Bad, |report| report.clock_offset_ms = 5_001),
            (Bad, |report| report.silent_ms = 3_001),
            (Odd, |report| report.version = "2".to_owned()),
            (Bad, |report| {
                report.faults = vec!["its disk is full".to_owned()];
            }),
        ];
        for (verdict, edit) in cases {
            let finding = heard(&member(edit), "1");
            assert_eq!(finding.verdict, verdict, "{finding:?}");
        }
        let never = Member::default();
        assert_eq!(heard(&never, "1").verdict, Odd);
    }

    #[test]
    fn the_whole_is_judged_by_its_quorum_and_its_pause() {
        let well = ClusterStatus {
            quorum: true,
            ..ClusterStatus::default()
        };
        assert_eq!(health(&well)[0].verdict, Verdict::Good);
        assert_eq!(health(&ClusterStatus::default())[0].verdict, Verdict::Bad);
        let paused = ClusterStatus {
            issuance_pause: Some(IssuancePause::default()),
            ..well
        };
        assert_eq!(health(&paused)[1].verdict, Verdict::Odd);
    }
}
