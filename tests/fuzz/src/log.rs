//! What stands in the log, and what peers say of it.

use consensus::fuzzing::{Held, KINDS, again, entry};
use state::codec;

/// Reads a value that the first byte chooses: what is read is written and read alike.
pub fn target(data: &[u8]) {
    let Some((kind, stored)) = data.split_first() else {
        return;
    };
    if kind % (KINDS + 1) < KINDS {
        if let Some(written) = again(*kind, stored) {
            assert_eq!(again(*kind, &written), Some(written.clone()));
        }
        return;
    }
    let Some((held, written)) = entry(stored) else {
        return;
    };
    assert_eq!(entry(&written), Some((held.clone(), written.clone())));
    if let Held::Batch(batch) = held {
        match codec::batch_from(&batch) {
            Ok(batch) => {
                let bytes = codec::batch_to(&batch);
                assert_eq!(codec::batch_from(&bytes), Ok(batch));
            }
            Err(error) => crate::is_fit_to_show(&error.to_string()),
        }
    }
}
