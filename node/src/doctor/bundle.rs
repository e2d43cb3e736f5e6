//! What somebody who is to help needs to see, in one text file that its owner can read before
//! it is sent: no keys, no tokens, no names of customers beyond what logs and CAs' limits say.

use std::{fmt::Write as _, fs, net::SocketAddr, path::Path};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};

use super::{Finding, WITHIN, cluster::Node, listeners};
use crate::config::Config;

/// Most lines of the log that are taken along.
const LOG_LINES: &str = "5000";

/// Most bytes of the metrics: a hundred times what they are.
const METRICS_MAX: u64 = 64 << 20;

/// Options that are not told, wherever they stand: their values are, or lead to, secrets.
const UNTOLD: [&str; 5] = ["token", "secret", "password", "passphrase", "hmac"];

/// The text.
pub(super) async fn write(
    config: &Config,
    file: &Path,
    findings: &[Finding],
    node: Option<&Node>,
) -> String {
    let mut text = format!(
        "hostquorum {} of node `{}`\n",
        env!("CARGO_PKG_VERSION"),
        config.name
    );
    let mut add = |title: &str, body: String| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n=== {title} ===\n{}\n", body.trim_end());
    };
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    add("findings", findings.join("\n"));
    let told = fs::read_to_string(file).map(|text| without_secrets(&text));
    add(
        "configuration",
        told.unwrap_or_else(|error| error.to_string()),
    );
    for path in [
        "/proc/version",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/mounts",
    ] {
        add(path, read(path));
    }
    if let Some(node) = node {
        for (title, body) in node.told().await {
            add(title, body);
        }
        if let Some(process) = node.process {
            for name in ["status", "limits", "io"] {
                let path = format!("/proc/{process}/{name}");
                add(&path, read(&path));
            }
        }
        add("metrics", metrics(config.health).await);
    }
    add("log", log().await);
    text
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| error.to_string())
}

/// A configuration with neither what looks like a secret nor what stands behind a `?` or
/// before an `@` in a URL.
fn without_secrets(text: &str) -> String {
    let line = |line: &str| {
        let Some((key, value)) = line.split_once('=') else {
            return line.to_owned();
        };
        let key_told = key.to_ascii_lowercase();
        if UNTOLD.iter().any(|word| key_told.contains(word)) {
            return format!("{key}= (not told)");
        }
        let queries = value.contains("://") && (value.contains('?') || value.contains('@'));
        if queries {
            return format!("{key}= (a URL with more than a path: not told)");
        }
        line.to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// What the health listener says.
async fn metrics(address: SocketAddr) -> String {
    let ask = async {
        let mut stream = TcpStream::connect(listeners::reachable(address)).await?;
        let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(METRICS_MAX).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    match timeout(WITHIN, ask).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    }
}

/// The end of the daemon's log, as systemd keeps it.
async fn log() -> String {
    let mut ask = Command::new("journalctl");
    ask.args(["--unit=hostquorumd", "--no-pager", "--output=short-iso"]);
    ask.args(["--lines", LOG_LINES]).kill_on_drop(true);
    match timeout(WITHIN, ask.output()).await {
        Ok(Ok(answer)) => String::from_utf8_lossy(&answer.stdout).into_owned(),
        Ok(Err(error)) => format!("journalctl: {error}"),
        Err(_) => "journalctl did not answer in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_told_without_secrets() {
        let text = "name = \"a\"\n[key]\npassphrase_file = \"/etc/p\"\n[on_demand]\n\
                    ask = \"https://app.example/ask?key=s3cret\"\n\
                    other = \"https://user:s3cret@app.example/\"\n\
                    plain = \"https://app.example/ask\"\napi_Token = \"s3cret\"";
        let told = without_secrets(text);
        assert!(!told.contains("s3cret"), "{told}");
        for kept in [
            "name = \"a\"",
            "[key]",
            "plain = \"https://app.example/ask\"",
        ] {
            assert!(told.contains(kept), "{told}");
        }
    }
}
