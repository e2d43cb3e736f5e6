//! A connection for each request.

use std::{io, sync::Arc};

use anyhow::{Result, ensure};
use tokio::io::AsyncReadExt as _;

use super::{Target, http1::Connection};

/// `count` connections, one after the other.
pub(super) async fn requests(target: Arc<Target>, count: usize) -> Result<()> {
    for _ in 0..count {
        let mut connection = Connection::open_for_one(&target).await?;
        connection.exchange().await?;
        ensure!(
            ended(&mut connection).await?,
            "the proxy goes on after `Connection: close`"
        );
    }
    Ok(())
}

/// True if nothing but the end follows. Some end TCP without ending TLS.
async fn ended(connection: &mut Connection) -> Result<bool> {
    match connection.stream.read(&mut [0]).await {
        Ok(read) => Ok(read == 0),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        Err(error) => Err(error.into()),
    }
}
