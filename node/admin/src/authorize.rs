//! Who may ask what: one table, closed. A method that is not in it cannot be
//! called by anybody; a test holds it against the descriptors.

use state::Role;

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Even those without an identity: it tells nothing about the cluster.
    Anyone,
    /// Whoever may look: viewers and administrators.
    Viewer,
    /// Whoever may change things.
    Admin,
    /// Whoever holds this machine, by its socket, and no operator.
    Machine,
}

impl Access {
    /// True if `role` may; no role is somebody without an identity.
    pub(crate) fn allows(self, role: Option<Role>) -> bool {
        match (self, role) {
            (Self::Anyone, _)
            | (Self::Viewer, Some(Role::Viewer | Role::Admin))
            | (Self::Admin, Some(Role::Admin)) => true,
            // A node's certificate is no operator's.
            (Self::Viewer | Self::Admin, None | Some(Role::Node))
            | (Self::Admin, Some(Role::Viewer))
            | (Self::Machine, _) => false,
        }
    }
}

/// Every method that is served, without the leading slash.
pub(crate) const TABLE: [(&str, Access); 53] = [
    (
        "hostquorum.admin.v1.Hostnames/CreateHostname",
        Access::Admin,
    ),
    ("hostquorum.admin.v1.Hostnames/GetHostname", Access::Viewer),
    (
        "hostquorum.admin.v1.Hostnames/ListHostnames",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Hostnames/UpdateHostname",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Hostnames/UpdateHostnameTraffic",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Hostnames/DeleteHostname",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Hostnames/WatchHostname",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Hostnames/ExplainHostname",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Hostnames/ContestHostname",
        Access::Admin,
    ),
    ("hostquorum.admin.v1.Hostnames/EndContest", Access::Admin),
    ("hostquorum.admin.v1.Zones/GetZone", Access::Viewer),
    ("hostquorum.admin.v1.Zones/UpdateZone", Access::Admin),
    ("hostquorum.admin.v1.Zones/UpdateZoneTraffic", Access::Admin),
    ("hostquorum.admin.v1.Zones/SetOrigin", Access::Admin),
    ("hostquorum.admin.v1.Cas/CreateCa", Access::Admin),
    ("hostquorum.admin.v1.Cas/GetCa", Access::Viewer),
    ("hostquorum.admin.v1.Cas/ListCas", Access::Viewer),
    ("hostquorum.admin.v1.Cas/UpdateCa", Access::Admin),
    ("hostquorum.admin.v1.Cas/DeleteCa", Access::Admin),
    ("hostquorum.admin.v1.Cas/BindExternalAccount", Access::Admin),
    (
        "hostquorum.admin.v1.Cas/UnbindExternalAccount",
        Access::Admin,
    ),
    ("hostquorum.admin.v1.Cas/RollAccountKey", Access::Admin),
    ("hostquorum.admin.v1.Ledger/ListBuckets", Access::Viewer),
    ("hostquorum.admin.v1.Ledger/ForecastLedger", Access::Viewer),
    ("hostquorum.admin.v1.Ledger/SetLimitOverride", Access::Admin),
    (
        "hostquorum.admin.v1.Ledger/ClearLimitOverride",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Certificates/ListCertificates",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Certificates/GetCertificate",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Certificates/UploadCertificate",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Certificates/CreateCertificateRequest",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Certificates/RevokeCertificate",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Certificates/PlanReissue",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Certificates/ReissueCertificates",
        Access::Admin,
    ),
    ("hostquorum.admin.v1.Checks/CheckHostname", Access::Viewer),
    ("hostquorum.admin.v1.Checks/ListRecords", Access::Viewer),
    ("hostquorum.admin.v1.Cluster/GetStatus", Access::Viewer),
    ("hostquorum.admin.v1.Cluster/ListMembers", Access::Viewer),
    ("hostquorum.admin.v1.Cluster/RemoveMember", Access::Admin),
    (
        "hostquorum.admin.v1.Cluster/TransferLeadership",
        Access::Admin,
    ),
    ("hostquorum.admin.v1.Cluster/PauseIssuance", Access::Admin),
    ("hostquorum.admin.v1.Cluster/ResumeIssuance", Access::Admin),
    ("hostquorum.admin.v1.Cluster/Rotate", Access::Admin),
    ("hostquorum.admin.v1.Backups/SaveBackup", Access::Admin),
    ("hostquorum.admin.v1.Backups/RestoreBackup", Access::Machine),
    (
        "hostquorum.admin.v1.Invitations/CreateInvitation",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Invitations/ListInvitations",
        Access::Admin,
    ),
    (
        "hostquorum.admin.v1.Invitations/RevokeInvitation",
        Access::Admin,
    ),
    ("hostquorum.admin.v1.Stats/GetHostnameStats", Access::Viewer),
    (
        "hostquorum.admin.v1.Stats/ListHostnameStats",
        Access::Viewer,
    ),
    (
        "hostquorum.admin.v1.Stats/ListTopHostnameStats",
        Access::Viewer,
    ),
    (
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Access::Viewer,
    ),
    ("grpc.health.v1.Health/Check", Access::Anyone),
    // A stream without an end: not for strangers.
    ("grpc.health.v1.Health/Watch", Access::Viewer),
];

/// The method of a request's path, and who may call it; absent if nobody may.
pub(crate) fn method(path: &str) -> Option<(&'static str, Access)> {
    let called = path.strip_prefix('/')?;
    TABLE.into_iter().find(|(method, _)| *method == called)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    fn methods(descriptors: &[u8], package: &str) -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(descriptors).unwrap();
        let mut methods = BTreeSet::new();
        for file in set.file.iter().filter(|file| file.package() == package) {
            for service in &file.service {
                for method in &service.method {
                    methods.insert(format!("{package}.{}/{}", service.name(), method.name()));
                }
            }
        }
        assert!(!methods.is_empty(), "{package} is not in the descriptors");
        methods
    }

    #[test]
    fn the_table_is_what_the_descriptors_declare() {
        let mut declared = methods(proto::DESCRIPTORS, "hostquorum.admin.v1");
        declared.extend(methods(
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            "grpc.health.v1",
        ));
        declared.extend(methods(
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            "grpc.reflection.v1",
        ));
        let table: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(table, declared);
        assert_eq!(table.len(), TABLE.len(), "each once");
    }

    #[test]
    fn what_is_not_in_the_table_is_nobodys() {
        for path in [
            "",
            "/",
            "hostquorum.admin.v1.Zones/GetZone",
            "/hostquorum.admin.v1.Zones/getzone",
            "/hostquorum.admin.v1.Zones/GetZone/",
            "/hostquorum.cluster.v1.Enrollment/Login",
            "/hostquorum.peer.v1.Consensus/Propose",
        ] {
            assert_eq!(method(path), None, "{path}");
        }
    }

    #[test]
    fn roles_are_ordered() {
        let all = [
            None,
            Some(Role::Node),
            Some(Role::Viewer),
            Some(Role::Admin),
        ];
        let allowed = |access: Access| all.map(|role| access.allows(role));
        assert_eq!(allowed(Access::Anyone), [true, true, true, true]);
        assert_eq!(allowed(Access::Viewer), [false, false, true, true]);
        assert_eq!(allowed(Access::Admin), [false, false, false, true]);
        assert_eq!(allowed(Access::Machine), [false; 4]);
    }
}
