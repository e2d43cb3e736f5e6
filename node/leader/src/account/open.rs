//! Speaking to a CA with our account's key.

use std::sync::Arc;

use state::{AccountKey, Ca, Secret, sealed::SealContext};

use super::AccountError;
use crate::{
    issuance::authority::{Access, Authority, Rates},
    reign::Reign,
};

/// The CA, with the account's own key.
pub(crate) fn open(reign: &Reign, ca: &Ca) -> Result<Arc<dyn Authority>, AccountError> {
    let key = ca.key().ok_or_else(|| {
        let text = format!("there is no account's key for {}", ca.name);
        AccountError::Own(text)
    })?;
    open_with(reign, ca, key, ca.account_url())
}

/// The CA, with a key that may be the account's. Without the account's URL it can be asked
/// only whether it has an account of that key.
pub(super) fn open_with(
    reign: &Reign,
    ca: &Ca,
    key: &AccountKey,
    account_url: Option<&str>,
) -> Result<Arc<dyn Authority>, AccountError> {
    let secret = unseal(reign, ca, key)?;
    let access = Access {
        directory: &ca.settings.directory,
        trust_roots_pem: &ca.settings.trust_roots_pem,
        rates: Rates::at(&ca.settings.directory),
        key: &secret,
        thumbprint: Some(&key.thumbprint),
        account_url,
    };
    Ok(reign.ports.authorities.open(&access)?)
}

/// The account's key itself.
pub(super) fn unseal(reign: &Reign, ca: &Ca, key: &AccountKey) -> Result<Secret, AccountError> {
    let context = SealContext::AccountKey(ca.name.clone());
    let secret = reign.ports.seal.open(&key.sealed, &context);
    secret.map_err(AccountError::own)
}
