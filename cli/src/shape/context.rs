//! Contexts, without their keys.

use serde::Serialize;

use crate::output::{Shape, pairs, rows};

/// A context as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) current: bool,
    pub(crate) file: String,
    pub(crate) cluster_id: String,
    /// The operator.
    pub(crate) operator: String,
    /// admin or viewer.
    pub(crate) role: String,
    pub(crate) addresses: Vec<String>,
    /// When the certificate ends.
    pub(crate) not_after: Option<String>,
    /// Why it cannot be used; empty if it can.
    pub(crate) fault: String,
}

impl Shape for Context {
    fn table(&self) -> String {
        pairs(vec![
            ("context", self.name.clone()),
            ("file", self.file.clone()),
            ("cluster", self.cluster_id.clone()),
            ("operator", self.operator.clone()),
            ("role", self.role.clone()),
            ("addresses", self.addresses.join(", ")),
            ("not after", self.not_after.clone().unwrap_or_default()),
            ("fault", self.fault.clone()),
        ])
    }
}

/// All contexts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Contexts {
    pub(crate) contexts: Vec<Context>,
}

impl Shape for Contexts {
    fn table(&self) -> String {
        let row = |one: &Context| {
            vec![
                if one.current { "*" } else { " " }.to_owned(),
                one.name.clone(),
                one.cluster_id.clone(),
                one.operator.clone(),
                one.role.clone(),
                one.not_after.clone().unwrap_or_default(),
                one.fault.clone(),
            ]
        };
        let header = [
            "",
            "context",
            "cluster",
            "operator",
            "role",
            "not after",
            "fault",
        ];
        rows(&header, self.contexts.iter().map(row).collect())
    }
}

/// A context that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entered {
    pub(crate) context: Context,
    /// The cluster was formed just now.
    pub(crate) formed: bool,
}

impl Shape for Entered {
    fn table(&self) -> String {
        let Context {
            name,
            file,
            cluster_id,
            operator,
            role,
            ..
        } = &self.context;
        let begun = if self.formed {
            format!("cluster {cluster_id} was formed")
        } else {
            format!("logged in to cluster {cluster_id}")
        };
        let next = if self.formed {
            "\nnext: `hostquorum token create --role node` for each further machine"
        } else {
            ""
        };
        format!(
            "{begun}; you are {operator} ({role})\n\
             the context `{name}` is in {file} and is the current one{next}"
        )
    }
}
