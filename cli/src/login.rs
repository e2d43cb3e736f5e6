//! Entering a cluster with a token: read from a file or standard input, redeemed
//! on a connection whose other end was proven to belong to the token's cluster.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use enroll::{
    Context, Credential, EnrollError, Login, PrivateKey, Session, Token, Trust, session::dial,
};
use rustls::{pki_types::UnixTime, time_provider::DefaultTimeProvider};

use crate::{
    arguments::{self, Globals},
    complaint::Complaint,
    connect::{self, chain},
    context::{self, Contexts, Place},
    exit::Exit,
    init::operator_name,
    output::Output,
    shape,
};

/// Longest token file that is read: a token has below 200 bytes.
const TOKEN_FILE_MAX: u64 = 4096;

pub(crate) async fn run(
    login: arguments::Login,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    let addresses = connect::told_addresses(globals)?;
    let name = operator_name(&login.name)?;
    let token = token(&login.token_file)?;
    let place = contexts.new_place(globals.context.as_deref())?;
    check_free(&place, &token, login.overwrite)?;
    // Kept until the answer is there: asking again with the same key is no second
    // use of the token.
    let key = contexts.pending_key(&place)?;
    let done = redeem(addresses, &token, &key, &name).await?;
    let context = enter(done, key, addresses);
    context.write(&place.file)?;
    contexts.forget_pending_key(&place)?;
    contexts.make_current(&place)?;
    output.show(&shape::context::Entered {
        context: context::describe(&place, true),
        formed: false,
    })?;
    Ok(Exit::Done)
}

/// Reads the token; `-` is standard input.
fn token(file: &Path) -> Result<Token> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin()
            .lock()
            .take(TOKEN_FILE_MAX)
            .read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(TOKEN_FILE_MAX).read_to_string(&mut text))
    };
    let place = file.display();
    read.with_context(|| format!("could not read the token in {place}"))?;
    text.parse()
        .with_context(|| format!("{place} holds no token"))
}

/// A context of another cluster is not replaced by accident.
fn check_free(place: &Place, token: &Token, overwrite: bool) -> Result<()> {
    if overwrite || !place.file.exists() {
        return Ok(());
    }
    let same = Context::read(&place.file)
        .is_ok_and(|context| context.credential.cluster.starts_with(&token.cluster));
    ensure!(
        same,
        "the context `{}` exists and is of another cluster: give another name by \
         --context NAME, or --overwrite",
        place.name
    );
    Ok(())
}

/// Asks the addresses in their turn until one answers, whatever it says.
async fn redeem(
    addresses: &[String],
    token: &Token,
    key: &PrivateKey,
    name: &str,
) -> Result<Login> {
    let mut failures = Vec::new();
    for address in addresses {
        match redeem_at(address, token, key, name).await {
            Ok(login) => return Ok(login),
            Err(error) if error.is_transient() => {
                failures.push(connect::failure(address, &error));
            }
            Err(error) => return Err(refused(&error).into()),
        }
    }
    Err(Complaint::new(
        "log in",
        failures.join("; "),
        "run the same command again: a lost answer does not use up the token",
    )
    .into())
}

async fn redeem_at(
    address: &str,
    token: &Token,
    key: &PrivateKey,
    name: &str,
) -> Result<Login, EnrollError> {
    let time = Arc::new(DefaultTimeProvider);
    let session = Session::open(dial(address).await?, Trust::of_token(token), time).await?;
    session.login(token, key, name, UnixTime::now()).await
}

fn refused(error: &EnrollError) -> Complaint {
    let advice = match error {
        EnrollError::Trust(_) => {
            "nothing was sent; check the address, and that the token is of this cluster"
        }
        EnrollError::Refused(_) => "ask an administrator for another token",
        _ => "",
    };
    Complaint::new("log in", chain(error), advice)
}

/// The context of a login: the address that was told comes first, as it works from
/// here.
fn enter(login: Login, key: PrivateKey, told: &[String]) -> Context {
    let mut addresses = told.to_vec();
    for address in login.admin_addresses {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Context {
        addresses,
        name: login.name,
        role: login.role.to_string(),
        credential: Credential {
            cluster: login.cluster,
            root: login.root,
            chain: login.chain,
            key: Arc::new(key),
        },
    }
}
