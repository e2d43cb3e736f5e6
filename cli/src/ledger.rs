//! What the CAs allow, and what is coming.

use anyhow::Result;
use proto::admin::v1::{
    self as wire, ClearLimitOverrideRequest, ForecastLedgerRequest, ListBucketsRequest,
    SetLimitOverrideRequest,
};

use crate::{
    arguments::{self, Globals, Kind, Override},
    ca,
    connect::Session,
    context::Contexts,
    exit::Exit,
    output::Output,
    shape::{
        ca::Ca,
        ledger::{Bucket, Buckets, Forecast},
    },
};

/// Entries asked for at once.
const PAGE: usize = 1000;

pub(crate) async fn run(
    command: arguments::Ledger,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let session = Session::open(globals, contexts).await?;
    match command {
        arguments::Ledger::Show {
            ca,
            kind,
            key,
            limit,
        } => {
            let request = ListBucketsRequest {
                ca: ca.as_deref().map(ca::resource).unwrap_or_default(),
                kind: kind.map_or(wire::LimitKind::Unspecified, ca::kind).into(),
                key: key.unwrap_or_default(),
                ..Default::default()
            };
            let most = limit.unwrap_or(usize::MAX);
            output.show(&show(&session, request, most).await?)?;
        }
        arguments::Ledger::Forecast { days } => {
            let mut client = session.ledger();
            let call = client.forecast_ledger(ForecastLedgerRequest { days });
            let forecast = session.read("look ahead", call).await?;
            output.show(&Forecast::from(forecast))?;
        }
        arguments::Ledger::Override(exception) => {
            output.show(&Ca::from(except(&session, exception).await?))?;
        }
    }
    session.refresh().await;
    Ok(Exit::Done)
}

async fn show(session: &Session, request: ListBucketsRequest, most: usize) -> Result<Buckets> {
    let mut client = session.ledger();
    let mut buckets = Vec::new();
    let mut page_token = String::new();
    loop {
        let page_size = PAGE.min(most - buckets.len()).max(1);
        let request = ListBucketsRequest {
            page_size: i32::try_from(page_size).unwrap_or(i32::MAX),
            page_token,
            ..request.clone()
        };
        let page = session
            .read("look at the ledger", client.list_buckets(request))
            .await?;
        buckets.extend(page.buckets.into_iter().map(Bucket::from));
        page_token = page.next_page_token;
        if page_token.is_empty() || buckets.len() >= most {
            buckets.truncate(most);
            return Ok(Buckets { buckets });
        }
    }
}

async fn except(session: &Session, exception: Override) -> Result<wire::Ca> {
    let Override {
        ca,
        allow,
        clear,
        key,
    } = exception;
    let name = ca::resource(&ca);
    let mut client = session.ledger();
    let doing = format!("change the exceptions of {ca}");
    let done = match allow {
        Some(allowed) => {
            let limit = Some(ca::limit(&allowed));
            let request = SetLimitOverrideRequest {
                name,
                r#override: Some(wire::LimitOverride { key, limit }),
            };
            session
                .write(&doing, client.set_limit_override(request))
                .await?
        }
        None => {
            let kind = ca::kind(clear.unwrap_or(Kind::Orders)).into();
            let request = ClearLimitOverrideRequest { name, kind, key };
            session
                .write(&doing, client.clear_limit_override(request))
                .await?
        }
    };
    Ok(done)
}
