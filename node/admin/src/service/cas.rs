//! CAs: added, changed, removed, and our accounts there.

use data_encoding::{BASE64URL, BASE64URL_NOPAD};
use proto::admin::v1::{
    self, BindExternalAccountRequest, CreateCaRequest, DeleteCaRequest, DeleteCaResponse,
    GetCaRequest, ListCasRequest, ListCasResponse, RollAccountKeyRequest,
    UnbindExternalAccountRequest, UpdateCaRequest, cas_server::Cas,
};
use state::{
    CaName, CaSettings, Change, ExternalAccount, Index, KeyPurpose, Preset, Secret, State,
    outcome::Kind, sealed::SealContext,
};
use tonic::{Request, Response, Status};

use super::{Desk, caller, deadline};
use crate::{convert, limits, mask, names, problem::Problem};

/// What can be changed of the settings.
pub(super) const FIELDS: [&str; 11] = [
    "directory",
    "trust_roots_pem",
    "contacts",
    "terms_agreed",
    "rank",
    "finalize_atomic",
    "caa_identities",
    "profile",
    "preferred_chain",
    "limits",
    "overrides",
];

#[tonic::async_trait]
impl Cas for Desk {
    async fn create_ca(
        &self,
        request: Request<CreateCaRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let (name, settings) = new_ca(&request, &self.state())?;
        let account = request
            .external_account
            .map(|account| self.sealed(&name, account));
        let account = account.transpose()?;
        let asked = who.asks(names::ca_name(&name));
        let change = Change::PutCa {
            name: name.clone(),
            settings: Box::new(settings),
            // It must be new.
            revision: Some(Index(0)),
        };
        let mut changed = self
            .change(asked.clone(), change, deadline)
            .await
            .map_err(|problem| exists(problem, &name))?;
        if account.is_some() {
            let ca = name.clone();
            let change = Change::BindExternalAccount { ca, account };
            changed = self.change(asked, change, deadline).await?;
        }
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(shown(&state, &name)?))
    }

    async fn get_ca(&self, request: Request<GetCaRequest>) -> Result<Response<v1::Ca>, Status> {
        let name = names::ca("name", &request.get_ref().name)?;
        Ok(Response::new(shown(&self.state(), &name)?))
    }

    async fn list_cas(
        &self,
        _request: Request<ListCasRequest>,
    ) -> Result<Response<ListCasResponse>, Status> {
        let state = self.state();
        let by_rank = state.cas_by_rank().into_iter();
        let cas = by_rank.map(|ca| convert::ca(&state, ca)).collect();
        Ok(Response::new(ListCasResponse { cas }))
    }

    async fn update_ca(
        &self,
        request: Request<UpdateCaRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let name = names::ca("name", &request.name)?;
        let fields = mask::fields(request.update_mask.as_ref(), &FIELDS)?;
        let wanted = request.settings.unwrap_or_default();
        let revision = convert::revision(request.revision);
        let asked = who.asks(names::ca_name(&name));
        let plan = |state: &State| {
            put_ca(state, &name, |present| {
                convert::settings(present, &wanted, &fields)
            })
        };
        let state = self.edit(asked, revision, deadline, plan).await?;
        Ok(Response::new(shown(&state, &name)?))
    }

    async fn delete_ca(
        &self,
        request: Request<DeleteCaRequest>,
    ) -> Result<Response<DeleteCaResponse>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let ca = names::ca("name", &request.name)?;
        let asked = who.asks(names::ca_name(&ca));
        let revision = convert::revision(request.revision);
        let change = Change::RemoveCa { ca, revision };
        let index = self.change(asked, change, deadline).await?.index.0;
        Ok(Response::new(DeleteCaResponse { index }))
    }

    async fn bind_external_account(
        &self,
        request: Request<BindExternalAccountRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let who = caller(&request)?;
        let request = request.into_inner();
        let name = names::ca("name", &request.name)?;
        let account = request.account.ok_or_else(|| {
            let message = "what the CA gave is needed: an id and a key";
            Problem::field("account", message)
        })?;
        let account = Some(self.sealed(&name, account)?);
        let ca = name.clone();
        let change = Change::BindExternalAccount { ca, account };
        self.changed_ca(who.asks(names::ca_name(&name)), &name, change)
            .await
    }

    async fn unbind_external_account(
        &self,
        request: Request<UnbindExternalAccountRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let who = caller(&request)?;
        let name = names::ca("name", &request.get_ref().name)?;
        let change = Change::BindExternalAccount {
            ca: name.clone(),
            account: None,
        };
        self.changed_ca(who.asks(names::ca_name(&name)), &name, change)
            .await
    }

    async fn roll_account_key(
        &self,
        request: Request<RollAccountKeyRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let who = caller(&request)?;
        let name = names::ca("name", &request.get_ref().name)?;
        let change = Change::RollAccountKey { ca: name.clone() };
        self.changed_ca(who.asks(names::ca_name(&name)), &name, change)
            .await
    }
}

impl Desk {
    async fn changed_ca(
        &self,
        asked: crate::audit::Asked,
        name: &CaName,
        change: Change,
    ) -> Result<Response<v1::Ca>, Status> {
        let deadline = deadline();
        let changed = self.change(asked, change, deadline).await?;
        let state = self.state_at(changed.index, deadline).await?;
        Ok(Response::new(shown(&state, name)?))
    }

    /// An external account as it may enter the log.
    fn sealed(&self, ca: &CaName, wire: v1::ExternalAccount) -> Result<ExternalAccount, Problem> {
        let v1::ExternalAccount { key_id, hmac } = wire;
        let hmac = Secret::new(hmac.into_bytes());
        let fits = (1..=limits::EXTERNAL_KEY_ID_MAX).contains(&key_id.len());
        if !fits || !key_id.bytes().all(|b| b.is_ascii_graphic()) {
            let message = format!(
                "the id that the CA gave is 1 to {} visible ASCII characters",
                limits::EXTERNAL_KEY_ID_MAX
            );
            return Err(Problem::field("account.key_id", message));
        }
        let hmac = hmac_key(&hmac)?;
        let context = SealContext::ExternalAccountKey(ca.clone());
        let sealed = self.seal.seal(KeyPurpose::Control, &context, hmac.expose());
        let hmac = sealed.map_err(|error| Problem::unsealed(&error))?;
        Ok(ExternalAccount { key_id, hmac })
    }
}

/// base64url with or without padding. An error never quotes it.
fn hmac_key(text: &Secret) -> Result<Secret, Problem> {
    let text = text.expose().trim_ascii();
    let decoded = BASE64URL_NOPAD
        .decode(text)
        .or_else(|_| BASE64URL.decode(text));
    let key = decoded.ok().map(Secret::new).filter(|key| {
        (limits::EXTERNAL_HMAC_MIN..=limits::EXTERNAL_HMAC_MAX).contains(&key.expose().len())
    });
    key.ok_or_else(|| {
        let message = format!(
            "the key that the CA gave is base64url (letters, digits, - and _) of {} to {} bytes",
            limits::EXTERNAL_HMAC_MIN,
            limits::EXTERNAL_HMAC_MAX
        );
        Problem::field("account.hmac", message)
    })
}

/// The change that makes `edit` of a CA's settings, on condition that they are as read.
pub(super) fn put_ca(
    state: &State,
    name: &CaName,
    edit: impl FnOnce(&CaSettings) -> Result<CaSettings, Problem>,
) -> Result<super::edit::Planned, Problem> {
    let ca = state
        .ca(name.as_str())
        .ok_or_else(|| Problem::not_found(Kind::Ca, &names::ca_name(name)))?;
    let change = Change::PutCa {
        name: name.clone(),
        settings: Box::new(edit(&ca.settings)?),
        revision: Some(ca.revision),
    };
    Ok((ca.revision, change))
}

/// A CA's name and settings, from a preset or from nothing.
fn new_ca(request: &CreateCaRequest, state: &State) -> Result<(CaName, CaSettings), Problem> {
    let preset = match request.preset.as_str() {
        "" => None,
        name => Some(Preset::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Preset::ALL.map(Preset::as_str).to_vec();
            let message = format!(
                "`{}` is no CA that hostquorum knows: {}, or give its directory",
                names::shown(name),
                known.join(", ")
            );
            Problem::field("preset", message)
        })?),
    };
    let name = match (request.ca_id.as_str(), preset) {
        ("", Some(preset)) => names::ca_id("preset", preset.as_str())?,
        ("", None) => {
            let message = "a name is needed, such as letsencrypt";
            return Err(Problem::field("ca_id", message));
        }
        (id, _) => names::ca_id("ca_id", id)?,
    };
    let given = request.settings.clone().unwrap_or_default();
    let mut fields = vec!["contacts", "terms_agreed"];
    let mut add = |field, given: bool| fields.extend(given.then_some(field));
    // Without a preset it must be there.
    add("directory", preset.is_none() || !given.directory.is_empty());
    add("trust_roots_pem", !given.trust_roots_pem.is_empty());
    add("rank", given.rank.is_some());
    add("finalize_atomic", given.finalize_atomic);
    add("caa_identities", !given.caa_identities.is_empty());
    add("profile", !given.profile.is_empty());
    add("preferred_chain", !given.preferred_chain.is_empty());
    add("limits", !given.limits.is_empty());
    add("overrides", !given.overrides.is_empty());
    let last = state.cas().map(|ca| ca.settings.rank).max();
    let known = CaSettings {
        rank: last.map_or(0, |last| last.saturating_add(1)),
        ..preset.map(Preset::settings).unwrap_or_default()
    };
    Ok((name, convert::settings(&known, &given, &fields)?))
}

/// What was to be new is there.
fn exists(problem: Problem, name: &CaName) -> Problem {
    if problem.reason == "REVISION_MISMATCH" {
        let refusal = state::Refusal::AlreadyExists(Kind::Ca);
        return Problem::refused(&refusal, &names::ca_name(name));
    }
    problem
}

fn shown(state: &State, name: &CaName) -> Result<v1::Ca, Problem> {
    let ca = state
        .ca(name.as_str())
        .ok_or_else(|| Problem::not_found(Kind::Ca, &names::ca_name(name)))?;
    Ok(convert::ca(state, ca))
}
