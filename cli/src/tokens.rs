//! Tokens: made, listed without their secrets, and withdrawn.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};
use proto::admin::v1::{
    self as wire, CreateInvitationRequest, ListInvitationsRequest, RevokeInvitationRequest,
};

use crate::{
    arguments::{self, Format, Globals, Role},
    connect::Session,
    context::{Contexts, write_narrow},
    exit::Exit,
    output::{Output, note},
    shape::invitation::{Invitation, Invitations, Made, Revoked},
};

/// Entries asked for at once.
const PAGE: i32 = 1000;

pub(crate) async fn run(
    command: arguments::Token,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let session = Session::open(globals, contexts).await?;
    match command {
        arguments::Token::Create { role, ttl, out } => {
            create(&session, role, ttl, out.as_deref(), output).await?;
        }
        arguments::Token::List => output.show(&list(&session).await?)?,
        arguments::Token::Revoke { id } => output.show(&revoke(&session, &id).await?)?,
    }
    session.refresh().await;
    Ok(Exit::Done)
}

async fn create(
    session: &Session,
    role: Role,
    ttl: Duration,
    out: Option<&Path>,
    output: &mut Output,
) -> Result<()> {
    let request = CreateInvitationRequest {
        role: wire_role(role).into(),
        ttl_seconds: u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX).max(1),
    };
    if let Some(file) = out {
        // Before the token is made: a second file could not be filled with it.
        anyhow::ensure!(!file.exists(), "{} exists already", file.display());
    }
    let mut invitations = session.invitations();
    let made = session
        .write("make a token", invitations.create_invitation(request))
        .await?;
    let invitation = made.invitation.map(Invitation::from);
    if output.format() == Format::Table
        && let Some(invitation) = &invitation
    {
        note(&usage(invitation));
    }
    let (token, file) = match out {
        None => (Some(made.token), None),
        Some(file) => {
            write_narrow(file, format!("{}\n", made.token).as_bytes())
                .with_context(|| format!("could not write the token to {}", file.display()))?;
            (None, Some(file.display().to_string()))
        }
    };
    output.show(&Made {
        invitation,
        token,
        file,
    })?;
    Ok(())
}

fn usage(invitation: &Invitation) -> String {
    let until = invitation.expires_at.as_deref().unwrap_or("soon");
    let how = match invitation.role {
        "node" => "`hostquorumd --join ADDRESS --token-file FILE`",
        _ => "`hostquorum login --token-file FILE --address ADDRESS --name NAME`",
    };
    format!(
        "invitation {} for one {}, until {until}; used by {how}. The token is shown this once.",
        invitation.id, invitation.role
    )
}

async fn list(session: &Session) -> Result<Invitations> {
    let mut client = session.invitations();
    let mut invitations = Vec::new();
    let mut page_token = String::new();
    loop {
        let page_size = PAGE;
        let request = ListInvitationsRequest {
            page_size,
            page_token,
        };
        let page = session
            .read("list invitations", client.list_invitations(request))
            .await?;
        invitations.extend(page.invitations.into_iter().map(Invitation::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Invitations { invitations });
        }
    }
}

async fn revoke(session: &Session, id: &str) -> Result<Revoked> {
    let id = id.strip_prefix("invitations/").unwrap_or(id);
    let name = format!("invitations/{id}");
    let mut client = session.invitations();
    let doing = format!("revoke invitation {id}");
    let request = RevokeInvitationRequest { name };
    let done = session
        .write(&doing, client.revoke_invitation(request))
        .await?;
    Ok(Revoked {
        id: id.to_owned(),
        index: done.index,
    })
}

fn wire_role(role: Role) -> wire::Role {
    match role {
        Role::Node => wire::Role::Node,
        Role::Admin => wire::Role::Admin,
        Role::Viewer => wire::Role::Viewer,
    }
}
