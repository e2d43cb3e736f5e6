//! Whose a hostname is, and what follows from it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use state::{
    CertificateId, Change, Command, Hostname, Outcome, OwnershipPolicy, Proof, Source, State,
    Tenant,
};

use crate::{
    history::{live, plan},
    invariants::{alone, rank},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_order_begins_for_a_hostname_that_is_not_proven(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, _| {
                if let (Change::AdmitOrder(admit), Outcome::Done(_)) = (&command.change, outcome) {
                    let record = before.hostname(admit.hostname.as_str());
                    let record = record.expect("it is authorized");
                    prop_assert!(record.ownership.standing.holds());
                    prop_assert_eq!(record.claim, admit.claim);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn only_a_proof_that_names_the_tenant_moves_a_hostname(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, command, _, after| {
                for (name, record) in after.hostnames() {
                    let held = before.hostname(name.as_str());
                    let moved = held.is_some_and(|held| held.tenant != record.tenant);
                    let standing = record.ownership.standing;
                    let gained = standing.holds()
                        && held.is_none_or(|held| !held.ownership.standing.holds());
                    let tombstone = before.tombstone(name.as_str());
                    let of_another = tombstone.is_some_and(|one| one.tenant != record.tenant);
                    if moved || gained && of_another {
                        prop_assert!(may_move(before, command, name, standing), "{name}");
                    }
                    let known = after.tombstone(name.as_str()).is_some();
                    prop_assert!(!(standing.holds() && known), "who has it is no ghost");
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn the_order_of_a_claim_goes_no_further_for_another(plan in plan()) {
        for entry in live(&plan) {
            alone(&entry, |before, _, _, after| {
                for order in after.orders() {
                    let record = after.hostname(order.hostname.as_str());
                    let same = record.is_some_and(|record| {
                        (record.claim, &record.tenant) == (order.claim, &order.tenant)
                    });
                    prop_assert!(same || rank(&order.stage) == 3, "it cannot have issued");
                    let gone_on = before.order(order.id).is_none_or(|was| {
                        (&was.stage, was.epoch, was.attempt)
                            != (&order.stage, order.epoch, order.attempt)
                    });
                    prop_assert!(same || !gone_on, "order {} went on", order.id);
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn nothing_is_served_anew_before_it_is_proven_or_after_it_is_revoked(plan in plan()) {
        let mut brought: BTreeMap<CertificateId, Tenant> = BTreeMap::new();
        for entry in live(&plan) {
            alone(&entry, |before, command, outcome, after| {
                for (name, record) in after.hostnames() {
                    let held = before.hostname(name.as_str());
                    let was: Vec<_> = held.iter().flat_map(|held| held.certificates()).collect();
                    for id in record.certificates().filter(|id| !was.contains(id)) {
                        let certificate = after.certificate(&id).expect("it is served");
                        prop_assert!(record.ownership.standing.holds());
                        prop_assert_eq!(&certificate.revocation, &None);
                        if let (Change::UploadCertificate(_), Outcome::Done(_)) =
                            (&command.change, outcome)
                        {
                            brought.insert(id, record.tenant.clone());
                        } else if certificate.source == Source::Uploaded {
                            prop_assert_eq!(brought.get(&id), Some(&record.tenant));
                        }
                    }
                }
                Ok(())
            })?;
        }
    }

    #[test]
    fn tenants_are_counted_by_their_hostnames(plan in plan()) {
        for entry in live(&plan) {
            let mut expected: BTreeMap<Tenant, u32> = BTreeMap::new();
            for (_, record) in entry.after.hostnames() {
                *expected.entry(record.tenant.clone()).or_default() += 1;
            }
            let found: BTreeMap<_, _> = entry.after.tenants().collect();
            let expected: BTreeMap<_, _> =
                expected.iter().map(|(tenant, count)| (tenant, *count)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

fn may_move(before: &State, command: &Command, name: &Hostname, standing: Proof) -> bool {
    let by_word = before.zone().settings.ownership == OwnershipPolicy::Operator;
    match &command.change {
        Change::RecordContest {
            hostname, proven, ..
        } => hostname == name && proven.is_some_and(|method| method.names_tenant()),
        Change::RecordOwnership { hostname, .. } => {
            let named = matches!(standing, Proof::Proven(method) if method.names_tenant());
            hostname == name && (named || standing == Proof::Vouched && by_word)
        }
        Change::AuthorizeHostname(authorize) => {
            authorize.hostname == *name && by_word && !authorize.on_demand
        }
        _ => false,
    }
}
