//! Forming a cluster: over the Unix socket of this machine's daemon. The
//! administrator's key is made here and stays here; only a request for a
//! certificate travels.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use enroll::{Context, Credential, Leaf, PrivateKey, names::Subject, session::certificates};
use proto::cluster::v1::{
    AcmeDirectory, ExternalAccount, InitReply, InitRequest, bootstrap_client::BootstrapClient,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::{
    arguments::{Globals, Init},
    complaint::Complaint,
    connect,
    context::{self, Contexts, Place},
    exit::Exit,
    output::Output,
    secret, shape,
};

/// The CAs that the daemon knows by name.
pub(crate) const PRESETS: [&str; 4] = ["letsencrypt", "letsencrypt-staging", "zerossl", "google"];

/// Forming makes keys and waits for the disk; slow disks exist.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Longest file of trust roots: a handful of certificates.
const ROOTS_MAX: u64 = 256 * 1024;

/// Longest name of an administrator.
const NAME_MAX: usize = 64;

pub(crate) async fn run(
    init: Init,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let acme = directory(&init)?;
    let place = new_place(contexts, globals, init.founder.overwrite)?;
    let channel = connect::local(&init.founder.socket).await?;
    let request = InitRequest {
        acme: Some(acme),
        admin_name: operator_name(&init.founder.admin_name)?,
        origin: init.origin.unwrap_or_default(),
        ..InitRequest::default()
    };
    form(request, &place, channel, globals, contexts).await?;
    output.show(&shape::context::Entered {
        context: context::describe(&place, true),
        formed: true,
    })?;
    Ok(Exit::Done)
}

/// Where the context of a cluster that is to be formed will be.
pub(crate) fn new_place(contexts: &Contexts, globals: &Globals, overwrite: bool) -> Result<Place> {
    let place = contexts.new_place(globals.context.as_deref())?;
    ensure!(
        overwrite || !place.file.exists(),
        "{} exists already: give another name by --context NAME, or --overwrite",
        place.file.display()
    );
    Ok(place)
}

/// Forms a cluster as `request` says, but for the key of its first administrator, which is
/// made here; the context at `place` is theirs and the current one.
pub(crate) async fn form(
    mut request: InitRequest,
    place: &Place,
    channel: Channel,
    globals: &Globals,
    contexts: &Contexts,
) -> Result<()> {
    // On the disk before anything is asked: once the cluster is formed, this key is
    // the only way in.
    let key = contexts.pending_key(place)?;
    request.csr = key.request()?.into();
    let within = globals.timeout.unwrap_or(ANSWER_WITHIN);
    let mut client = BootstrapClient::new(channel);
    let doing = "form a cluster";
    let reply = timeout(within, client.init(request))
        .await
        .map_err(|_| Complaint::timed_out(doing, within, true))?
        .map_err(|status| Complaint::refused(doing, &status, true))?
        .into_inner();
    let entered = accept(reply, key).context(
        "the cluster was formed, but the daemon's answer cannot be right; the key stays where \
         the context would be",
    )?;
    entered.write(&place.file)?;
    contexts.forget_pending_key(place)?;
    contexts.make_current(place)?;
    Ok(())
}

/// The CA as it was told; nothing is assumed.
fn directory(init: &Init) -> Result<AcmeDirectory> {
    let (preset, url) = named(&init.acme)?;
    ensure!(
        init.agree_to_terms,
        "the CA {} has terms of service: read them, and give --agree-to-terms if you agree",
        init.acme
    );
    let contacts = init.contact.iter().map(|text| contact(text));
    let roots = init.acme_root.as_deref().map(roots).transpose()?;
    let account = match (&init.eab_key_id, &init.eab_hmac_file) {
        (Some(key_id), Some(file)) => Some(ExternalAccount {
            key_id: key_id.clone(),
            hmac: secret::text(file, "the key of the external account")?,
        }),
        _ => None,
    };
    Ok(AcmeDirectory {
        url,
        preset,
        trust_roots_pem: roots.unwrap_or_default(),
        contacts: contacts.collect::<Result<_>>()?,
        terms_agreed: true,
        external_account: account,
    })
}

/// A CA by its name among those that are known, or by its directory.
pub(crate) fn named(text: &str) -> Result<(String, String)> {
    match text {
        known if PRESETS.contains(&known) => Ok((known.to_owned(), String::new())),
        url if url.starts_with("https://") && url.len() > "https://".len() => {
            Ok((String::new(), url.to_owned()))
        }
        other => bail!(
            "`{}` is no CA: it is {} or an https URL",
            crate::output::clean(other),
            PRESETS.join(", ")
        ),
    }
}

/// `mailto:` may be left out.
pub(crate) fn contact(text: &str) -> Result<String> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let parts = address.split_once('@');
    let plausible = parts.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !address.contains(|c: char| c.is_whitespace() || c.is_control() || c == '?');
    ensure!(
        plausible,
        "`{}` is no contact: it looks like mailto:ops@example.com",
        crate::output::clean(text)
    );
    Ok(format!("mailto:{address}"))
}

/// The text of a file of certificates.
pub(crate) fn roots(path: &Path) -> Result<String> {
    let doing = || format!("could not read the trust roots in {}", path.display());
    let length = fs::metadata(path).with_context(doing)?.len();
    ensure!(
        length <= ROOTS_MAX,
        "{} is too long for trust roots",
        path.display()
    );
    let text = fs::read_to_string(path).with_context(doing)?;
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|certificates| !certificates.is_empty());
    ensure!(
        certificates.is_some(),
        "{} holds no certificate in PEM",
        path.display()
    );
    Ok(text)
}

/// A name fit for certificates and the audit.
pub(crate) fn operator_name(text: &str) -> Result<String> {
    let fits = !text.trim().is_empty()
        && text.chars().count() <= NAME_MAX
        && !text.contains(char::is_control);
    ensure!(
        fits,
        "a name has 1 to {NAME_MAX} characters and no control characters"
    );
    Ok(text.trim().to_owned())
}

/// The context of the administrator of the cluster that was formed.
fn accept(reply: InitReply, key: PrivateKey) -> Result<Context> {
    let credential = reply.credential.context("there is no credential in it")?;
    let chain = certificates(&credential.certificate_chain);
    let leaf = chain.first().context("there is no certificate in it")?;
    let leaf = Leaf::read(leaf)?;
    ensure!(
        leaf.public_key == key.public_key(),
        "its certificate is for another key"
    );
    let (cluster, subject) = leaf.subject().context("its certificate names nobody")?;
    ensure!(
        matches!(subject, Subject::Operator { .. }),
        "its certificate is not an operator's"
    );
    Ok(Context {
        addresses: vec![reply.admin_address],
        name: credential.name,
        role: credential.role,
        credential: Credential {
            cluster,
            root: CertificateDer::from(credential.root.to_vec()),
            chain,
            key: Arc::new(key),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Founder;

    fn init(acme: &str, agree: bool, contact: &[&str]) -> Init {
        Init {
            acme: acme.to_owned(),
            acme_root: None,
            contact: contact.iter().map(|text| (*text).to_owned()).collect(),
            agree_to_terms: agree,
            eab_key_id: None,
            eab_hmac_file: None,
            origin: None,
            founder: Founder {
                admin_name: "alice".to_owned(),
                socket: "/nowhere".into(),
                overwrite: false,
            },
        }
    }

    #[track_caller]
    fn refused(init: &Init, expected: &str) {
        let error = directory(init).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn the_ca_is_what_was_told() {
        let told = |acme| {
            let told = directory(&init(acme, true, &[])).unwrap();
            (told.preset, told.url)
        };
        for known in PRESETS {
            assert_eq!(told(known), (known.to_owned(), String::new()));
        }
        let url = "https://ca.internal/dir";
        assert_eq!(told(url), (String::new(), url.to_owned()));
    }

    #[test]
    fn nothing_happens_to_production_by_accident() {
        refused(&init("", true, &[]), "is no CA");
        refused(&init("LetsEncrypt", true, &[]), "is no CA");
        refused(&init("http://ca/dir", true, &[]), "is no CA");
        refused(&init("https://", true, &[]), "is no CA");
        refused(&init("letsencrypt", false, &[]), "--agree-to-terms");
    }

    #[test]
    fn contacts_are_addresses() {
        let told = |contacts: &[&str]| {
            directory(&init("letsencrypt", true, contacts))
                .map(|acme| acme.contacts)
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            told(&["mailto:a@b.example", "c@d.example"]).unwrap(),
            ["mailto:a@b.example", "mailto:c@d.example"]
        );
        for bad in ["", "mailto:", "a", "a@", "@b", "a b@c", "a@b?subject=c"] {
            assert!(told(&[bad]).unwrap_err().contains("is no contact"), "{bad}");
        }
    }

    #[test]
    fn roots_are_certificates() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.pem");
        assert!(
            roots(&file)
                .unwrap_err()
                .to_string()
                .contains("could not read")
        );
        for bad in [
            "",
            "nonsense",
            "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ] {
            fs::write(&file, bad).unwrap();
            assert!(
                roots(&file)
                    .unwrap_err()
                    .to_string()
                    .contains("no certificate"),
                "{bad}"
            );
        }
        let good = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        fs::write(&file, good).unwrap();
        assert_eq!(roots(&file).unwrap(), good);
    }

    #[test]
    fn names_are_fit_to_be_shown() {
        assert_eq!(operator_name(" alice ").unwrap(), "alice");
        for bad in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert!(operator_name(bad).is_err(), "{bad:?}");
        }
    }
}
