//! What the CAs allow: how much is left, what is coming, and exceptions.

use std::collections::BTreeSet;

use proto::admin::v1::{
    self, ClearLimitOverrideRequest, ForecastLedgerRequest, LedgerForecast, ListBucketsRequest,
    ListBucketsResponse, SetLimitOverrideRequest, ledger_server::Ledger,
};
use state::{BucketKey, CaName, CaSettings, Hostname, LimitKind, State, forecast, outcome::Kind};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Desk, aside, caller, cas::put_ca, deadline};
use crate::{convert, limits, names, page, problem::Problem};

#[tonic::async_trait]
impl Ledger for Desk {
    async fn list_buckets(
        &self,
        request: Request<ListBucketsRequest>,
    ) -> Result<Response<ListBucketsResponse>, Status> {
        let request = request.into_inner();
        let size = page::size(request.page_size)?;
        let state = self.state();
        let wanted = Wanted::of(&request, &state)?;
        let texts = [&*request.ca, &*request.key, &*request.kind.to_string()];
        let filter = page::filter(texts);
        let after = page::buckets_after(&request.page_token, filter)?;
        Ok(Response::new(
            self.buckets_page(&state, &wanted, size, filter, after),
        ))
    }

    async fn forecast_ledger(
        &self,
        request: Request<ForecastLedgerRequest>,
    ) -> Result<Response<LedgerForecast>, Status> {
        let days = match request.get_ref().days {
            0 => limits::FORECAST_DAYS,
            days if days <= limits::FORECAST_DAYS_MAX => days,
            days => {
                let most = limits::FORECAST_DAYS_MAX;
                let message = format!("{days} days are too many to look ahead; at most {most}");
                return Err(Problem::field("days", message).into());
            }
        };
        let (state, now) = (self.state(), self.now());
        let days = usize::try_from(days).unwrap_or(usize::MAX);
        let domain = |name: &Hostname| names::registered_domain(name).to_owned();
        let looking = move || forecast::forecast(&state, now, days, &domain);
        let within = Instant::now() + limits::PLAN_WITHIN;
        let forecast = aside(&self.plans, within, looking).await?;
        Ok(Response::new(convert::forecast(&forecast, now)))
    }

    async fn set_limit_override(
        &self,
        request: Request<SetLimitOverrideRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let name = names::ca("name", &request.name)?;
        let wanted = request.r#override.unwrap_or_default();
        let wanted = convert::limit_override("override", &wanted)?;
        let asked = who.asks(names::ca_name(&name));
        let plan = |state: &State| {
            put_ca(state, &name, |present| {
                let mut settings = without(present, wanted.limit.kind, &wanted.key);
                settings.overrides.push(wanted.clone());
                if settings.overrides.len() > limits::OVERRIDES_MAX {
                    let message = format!("at most {} exceptions are taken", limits::OVERRIDES_MAX);
                    return Err(Problem::field("override", message));
                }
                Ok(settings)
            })
        };
        let state = self.edit(asked, None, deadline, plan).await?;
        Ok(Response::new(shown(&state, &name)?))
    }

    async fn clear_limit_override(
        &self,
        request: Request<ClearLimitOverrideRequest>,
    ) -> Result<Response<v1::Ca>, Status> {
        let (who, deadline) = (caller(&request)?, deadline());
        let request = request.into_inner();
        let name = names::ca("name", &request.name)?;
        let kind = convert::limit_kind("kind", request.kind)?;
        let key = names::limit_key("key", kind, &request.key)?;
        let asked = who.asks(names::ca_name(&name));
        let plan = |state: &State| {
            put_ca(state, &name, |present| {
                let settings = without(present, kind, &key);
                if settings.overrides.len() == present.overrides.len() {
                    let what = format!("{kind} of `{key}` at {name}");
                    return Err(Problem::not_found(Kind::Limit, &what));
                }
                Ok(settings)
            })
        };
        let state = self.edit(asked, None, deadline, plan).await?;
        Ok(Response::new(shown(&state, &name)?))
    }
}

/// Which buckets are asked for.
struct Wanted {
    ca: Option<CaName>,
    kind: Option<LimitKind>,
    key: String,
}

impl Wanted {
    fn of(request: &ListBucketsRequest, state: &State) -> Result<Self, Problem> {
        let ca = match request.ca.as_str() {
            "" => None,
            name => Some(names::ca("ca", name)?),
        };
        if let Some(ca) = &ca
            && state.ca(ca.as_str()).is_none()
        {
            return Err(Problem::not_found(Kind::Ca, &names::ca_name(ca)));
        }
        Ok(Self {
            ca,
            kind: convert::kind_filter(request.kind)?,
            key: request.key.trim().to_lowercase(),
        })
    }

    fn is(&self, key: &BucketKey) -> bool {
        self.ca.as_ref().is_none_or(|ca| *ca == key.ca)
            && self.kind.is_none_or(|kind| kind == key.kind)
            && (self.key.is_empty() || *self.key == *key.key)
    }

    /// Shown even if nothing of them is spent: the accounts' own, and what was named.
    fn always(&self, state: &State) -> BTreeSet<BucketKey> {
        let mut keys = BTreeSet::new();
        for ca in state.cas() {
            for limit in &ca.settings.limits {
                let own = names::limit_key("key", limit.kind, &self.key);
                let key = match (self.key.as_str(), limit.kind) {
                    ("", LimitKind::Orders) => Some(String::new()),
                    ("", _) => None,
                    _ => own.ok(),
                };
                keys.extend(key.map(|key| BucketKey {
                    ca: ca.name.clone(),
                    kind: limit.kind,
                    key: key.into(),
                }));
            }
        }
        keys.retain(|key| self.is(key));
        keys
    }
}

impl Desk {
    fn buckets_page(
        &self,
        state: &State,
        wanted: &Wanted,
        size: usize,
        filter: u32,
        after: Option<BucketKey>,
    ) -> ListBucketsResponse {
        let now = self.now();
        let mut always = wanted.always(state);
        always.retain(|key| after.as_ref().is_none_or(|after| key > after));
        let mut spent = state
            .buckets_after(after.as_ref())
            .map(|(key, _)| key)
            .peekable();
        let mut page = ListBucketsResponse::default();
        let mut looked_at = 0;
        loop {
            let next = match (always.first(), spent.peek()) {
                (None, None) => return page,
                (Some(one), Some(other)) if one <= *other => one.clone(),
                (Some(one), None) => one.clone(),
                (_, Some(other)) => (*other).clone(),
            };
            always.remove(&next);
            spent.next_if(|key| **key == next);
            if wanted.is(&next) {
                page.buckets.push(convert::bucket(state, &next, now));
            }
            looked_at += 1;
            let full = page.buckets.len() >= size || looked_at >= limits::PAGE_LOOKED_AT_MAX;
            if full {
                if !always.is_empty() || spent.peek().is_some() {
                    page.next_page_token = page::buckets_token(filter, &next);
                }
                return page;
            }
        }
    }
}

/// The settings but for one exception.
fn without(settings: &CaSettings, kind: LimitKind, key: &str) -> CaSettings {
    let mut settings = settings.clone();
    settings
        .overrides
        .retain(|one| one.limit.kind != kind || *one.key != *key);
    settings
}

fn shown(state: &State, name: &CaName) -> Result<v1::Ca, Problem> {
    let ca = state
        .ca(name.as_str())
        .ok_or_else(|| Problem::not_found(Kind::Ca, &names::ca_name(name)))?;
    Ok(convert::ca(state, ca))
}
