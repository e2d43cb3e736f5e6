//! What protects the node's secrets: whether its next start would open them. A node that runs
//! has no use for it, and so nobody notices until then.

use std::{fs, os::unix::fs::MetadataExt as _, sync::Arc};

use cluster::SystemEntropy;

use super::Finding;
use crate::{config::Config, keys};

const OF: &str = "key";

/// What a start finds on the disk of a node that is somebody.
const IDENTITY: &str = "identity.json";

pub(super) async fn examine(config: &Config) -> Finding {
    let identity = config.data_dir.join(IDENTITY);
    let Ok(metadata) = fs::metadata(&identity) else {
        let said = format!(
            "there is no {} yet: nothing is protected",
            identity.display()
        );
        return Finding::odd(OF, said);
    };
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Finding::odd(
            OF,
            format!(
                "{} is user {}'s, who alone may open it: run this once more as that user",
                identity.display(),
                metadata.uid()
            ),
        );
    }
    match keys::opens(config, Arc::new(SystemEntropy)).await {
        Ok(true) => Finding::good(OF, format!("it opens {}", identity.display())),
        Ok(false) if config.previous_key.is_some() => Finding::odd(
            OF,
            "[previous_key] protects the node's secrets still: the next start brings them under \
             the present one",
        ),
        Ok(false) => Finding::bad(
            OF,
            format!(
                "another key protects {}, and the node would not start again: name that one in \
                 [previous_key]",
                identity.display()
            ),
        ),
        Err(error) => Finding::bad(OF, format!("the node would not start now: {error:#}")),
    }
}
