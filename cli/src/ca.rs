//! CAs: added, changed, removed, and our accounts there.

use anyhow::{Result, ensure};
use proto::admin::v1::{
    self as wire, BindExternalAccountRequest, CreateCaRequest, DeleteCaRequest, ExternalAccount,
    GetCaRequest, ListCasRequest, RollAccountKeyRequest, UnbindExternalAccountRequest,
    UpdateCaRequest,
};

use crate::{
    arguments::{self, AddCa, Allowed, BindCa, Globals, Kind, SetCa},
    connect::Session,
    context::Contexts,
    exit::Exit,
    init,
    output::Output,
    secret,
    shape::ca::{Ca, Cas, Removed},
};

/// What an external account's key is called in errors.
const EXTERNAL_KEY: &str = "the key of the external account";

pub(crate) async fn run(
    command: arguments::Ca,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    // What is wrong with files and arguments is told before anybody is asked.
    let asked = Asked::of(command)?;
    let session = Session::open(globals, contexts).await?;
    match asked {
        Asked::List => {
            let mut client = session.cas();
            let call = client.list_cas(ListCasRequest {});
            let list = session.read("list the CAs", call).await?;
            let cas = list.cas.into_iter().map(Ca::from).collect();
            output.show(&Cas { cas })?;
        }
        Asked::Remove(request) => {
            let name = request.name.clone();
            let mut client = session.cas();
            let doing = format!("remove {name}");
            let done = session.write(&doing, client.delete_ca(request)).await?;
            let name = crate::shape::id(&name).to_owned();
            let index = done.index;
            output.show(&Removed { name, index })?;
        }
        asked => output.show(&Ca::from(one(&session, asked).await?))?,
    }
    session.refresh().await;
    Ok(Exit::Done)
}

/// What is asked of the API.
enum Asked {
    Add(CreateCaRequest),
    List,
    Show(GetCaRequest),
    Set(UpdateCaRequest),
    Bind(BindExternalAccountRequest),
    Unbind(UnbindExternalAccountRequest),
    Roll(RollAccountKeyRequest),
    Remove(DeleteCaRequest),
}

impl Asked {
    fn of(command: arguments::Ca) -> Result<Self> {
        Ok(match command {
            arguments::Ca::Add(add) => Self::Add(added(*add)?),
            arguments::Ca::List => Self::List,
            arguments::Ca::Show { name } => Self::Show(GetCaRequest {
                name: resource(&name),
            }),
            arguments::Ca::Set(set) => Self::Set(changed(*set)?),
            arguments::Ca::Bind(bind) => Self::Bind(bound(bind)?),
            arguments::Ca::Unbind { name } => Self::Unbind(UnbindExternalAccountRequest {
                name: resource(&name),
            }),
            arguments::Ca::Rollover { name } => Self::Roll(RollAccountKeyRequest {
                name: resource(&name),
            }),
            arguments::Ca::Remove { name, revision } => Self::Remove(DeleteCaRequest {
                name: resource(&name),
                revision,
            }),
        })
    }
}

/// What is answered with the CA as it is then.
async fn one(session: &Session, asked: Asked) -> Result<wire::Ca> {
    let mut client = session.cas();
    let done = match asked {
        Asked::Add(request) => session.write("add a CA", client.create_ca(request)).await?,
        Asked::Show(request) => {
            let doing = format!("look at {}", request.name);
            session.read(&doing, client.get_ca(request)).await?
        }
        Asked::Set(request) => {
            let doing = format!("change {}", request.name);
            session.write(&doing, client.update_ca(request)).await?
        }
        Asked::Bind(request) => {
            let doing = format!("bind an external account to {}", request.name);
            let call = client.bind_external_account(request);
            session.write(&doing, call).await?
        }
        Asked::Unbind(request) => {
            let doing = format!("forget the external account of {}", request.name);
            let call = client.unbind_external_account(request);
            session.write(&doing, call).await?
        }
        Asked::Roll(request) => {
            let doing = format!("have the account key of {} changed", request.name);
            session
                .write(&doing, client.roll_account_key(request))
                .await?
        }
        Asked::List | Asked::Remove(_) => anyhow::bail!("that is not answered with one CA"),
    };
    Ok(done)
}

fn added(add: AddCa) -> Result<CreateCaRequest> {
    let (preset, directory) = init::named(&add.ca)?;
    ensure!(
        !preset.is_empty() || add.name.is_some(),
        "a CA by its URL needs a name: --name NAME"
    );
    ensure!(
        add.agree_to_terms,
        "the CA {} has terms of service: read them, and give --agree-to-terms if you agree",
        add.ca
    );
    let account = match (add.eab_key_id, &add.eab_hmac_file) {
        (Some(key_id), Some(file)) => Some(ExternalAccount {
            key_id,
            hmac: secret::text(file, EXTERNAL_KEY)?,
        }),
        _ => None,
    };
    let roots = add.acme_root.as_deref().map(init::roots).transpose()?;
    Ok(CreateCaRequest {
        ca_id: add.name.unwrap_or_default(),
        preset,
        settings: Some(wire::CaSettings {
            directory,
            trust_roots_pem: roots.unwrap_or_default(),
            contacts: contacts(&add.contact)?,
            terms_agreed: true,
            rank: add.rank,
            finalize_atomic: add.finalize_atomic,
            caa_identities: add.caa_identity,
            profile: add.profile.unwrap_or_default(),
            preferred_chain: add.preferred_chain.unwrap_or_default(),
            limits: add.allow.iter().map(limit).collect(),
            overrides: Vec::new(),
        }),
        external_account: account,
    })
}

fn changed(set: SetCa) -> Result<UpdateCaRequest> {
    let mut settings = wire::CaSettings::default();
    let mut paths = Vec::new();
    let mut name = |field: &str| paths.push(field.to_owned());
    if let Some(directory) = set.directory {
        settings.directory = directory;
        name("directory");
    }
    if set.agree_to_terms {
        settings.terms_agreed = true;
        name("terms_agreed");
    }
    if let Some(list) = set.contact {
        settings.contacts = contacts(&list)?;
        name("contacts");
    }
    if let Some(rank) = set.rank {
        settings.rank = Some(rank);
        name("rank");
    }
    if let Some(file) = set.acme_root {
        if !file.as_os_str().is_empty() {
            settings.trust_roots_pem = init::roots(&file)?;
        }
        name("trust_roots_pem");
    }
    if let Some(profile) = set.profile {
        settings.profile = profile;
        name("profile");
    }
    if let Some(chain) = set.preferred_chain {
        settings.preferred_chain = chain;
        name("preferred_chain");
    }
    if let Some(list) = set.caa_identity {
        settings.caa_identities = list.into_iter().filter(|name| !name.is_empty()).collect();
        name("caa_identities");
    }
    if let Some(list) = set.allow {
        settings.limits = list.iter().map(limit).collect();
        name("limits");
    }
    if let Some(atomic) = set.finalize_atomic {
        settings.finalize_atomic = atomic;
        name("finalize_atomic");
    }
    Ok(UpdateCaRequest {
        name: resource(&set.name),
        settings: Some(settings),
        update_mask: Some(prost_types::FieldMask { paths }),
        revision: set.revision,
    })
}

fn bound(bind: BindCa) -> Result<BindExternalAccountRequest> {
    Ok(BindExternalAccountRequest {
        name: resource(&bind.name),
        account: Some(ExternalAccount {
            key_id: bind.eab_key_id,
            hmac: secret::text(&bind.eab_hmac_file, EXTERNAL_KEY)?,
        }),
    })
}

/// An empty value stands for none.
fn contacts(list: &[String]) -> Result<Vec<String>> {
    let given = list.iter().filter(|text| !text.is_empty());
    given.map(|text| init::contact(text)).collect()
}

pub(crate) fn limit(allowed: &Allowed) -> wire::Limit {
    wire::Limit {
        kind: kind(allowed.kind).into(),
        burst: allowed.burst,
        refill: Some(prost_types::Duration {
            seconds: i64::try_from(allowed.refill.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(allowed.refill.subsec_nanos()).unwrap_or(0),
        }),
    }
}

pub(crate) fn kind(kind: Kind) -> wire::LimitKind {
    match kind {
        Kind::Orders => wire::LimitKind::Orders,
        Kind::CertificatesPerDomain => wire::LimitKind::CertificatesPerDomain,
        Kind::CertificatesPerSet => wire::LimitKind::CertificatesPerSet,
        Kind::FailedValidations => wire::LimitKind::FailedValidations,
    }
}

pub(crate) fn resource(name: &str) -> String {
    let name = name.strip_prefix("cas/").unwrap_or(name);
    format!("cas/{name}")
}
