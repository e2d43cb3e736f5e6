//! Origins that people run, each told to say what it was asked: `METHOD TARGET`, a line end,
//! and the request's body.

mod echo;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use harness::wait;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use self::echo::Echo;

/// Python starts slowly on a busy machine.
const START: Duration = Duration::from_secs(30);
/// Where `scripts/install-peers.sh` puts what Python brings.
pub(crate) const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peer-tools/bin");
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/origins");

/// One that runs until it is dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    process: Option<Child>,
    /// Behind those that can only pass requests on.
    _echo: Option<Echo>,
    _folder: TempDir,
}

impl Drop for Origin {
    fn drop(&mut self) {
        // Asked first: a master that is killed leaves its workers behind.
        let pid = self.process.as_ref().and_then(Child::id);
        let pid = pid.and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}

/// A program of this machine.
pub(crate) fn program(name: &str) -> PathBuf {
    [
        TOOLS,
        // Chromium itself: the script before it leaves it behind when it is killed.
        "/usr/lib/chromium",
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/bin",
    ]
    .iter()
    .map(|folder| Path::new(folder).join(name))
    .find(|path| path.exists())
    .unwrap_or_else(|| panic!("`{name}` is missing: run scripts/install-peers.sh"))
}

/// A script beside the origins.
pub(crate) fn script(name: &str) -> String {
    format!("{SCRIPTS}/{name}")
}

/// Ours, which reads nothing but what is exactly as it must be.
pub(crate) async fn echo() -> Origin {
    let echo = Echo::start().await;
    Origin {
        address: echo.address,
        process: None,
        _echo: Some(echo),
        _folder: tempfile::tempdir().unwrap(),
    }
}

/// nginx cannot say what it was asked: it passes it on to somebody who does.
pub(crate) async fn nginx() -> Origin {
    let echo = Echo::start().await;
    let behind = echo.address;
    let (folder, listen) = place();
    let at = folder.path().display();
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let text = format!(
        "daemon off; {user} worker_processes 1; pid {at}/pid; error_log stderr warn;
events {{}}
http {{
  access_log off; keepalive_requests 100000;
  client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
  uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
  server {{
    listen {listen};
    location / {{ proxy_pass http://{behind}; proxy_http_version 1.1; }}
  }}
}}
"
    );
    let configuration = write(&folder, "nginx.conf", &text);
    let arguments = [
        "-p".to_owned(),
        at.to_string(),
        "-c".to_owned(),
        configuration,
    ];
    start("nginx", &arguments, folder, listen, Some(echo)).await
}

pub(crate) async fn apache() -> Origin {
    let (folder, listen) = place();
    let at = folder.path().display();
    let modules = "/usr/lib/apache2/modules/mod";
    let text = format!(
        "ServerRoot {at}
ServerName origin.example
Listen {listen}
PidFile {at}/pid
ErrorLog {at}/error.log
User nobody
Group nogroup
LoadModule mpm_event_module {modules}_mpm_event.so
LoadModule authz_core_module {modules}_authz_core.so
LoadModule alias_module {modules}_alias.so
LoadModule cgid_module {modules}_cgid.so
ScriptSock {at}/cgi.sock
KeepAliveTimeout 60
MaxKeepAliveRequests 0
AllowEncodedSlashes NoDecode
ScriptAliasMatch ^ {at}/echo.sh
<Directory {at}>
  Require all granted
</Directory>
"
    );
    copy(&folder, "echo.sh");
    let configuration = write(&folder, "apache.conf", &text);
    let arguments = ["-f".to_owned(), configuration, "-DFOREGROUND".to_owned()];
    start("apache2", &arguments, folder, listen, None).await
}

/// Neither can HAProxy.
pub(crate) async fn haproxy() -> Origin {
    let echo = Echo::start().await;
    let behind = echo.address;
    let (folder, listen) = place();
    let text = format!(
        "global
  nbthread 1
  maxconn 512
defaults
  mode http
  timeout connect 60s
  timeout client 60s
  timeout server 60s
  timeout http-request 60s
  timeout http-keep-alive 60s
listen origin
  bind {listen}
  server behind {behind}
"
    );
    let configuration = write(&folder, "haproxy.cfg", &text);
    let arguments = ["-db".to_owned(), "-f".to_owned(), configuration];
    start("haproxy", &arguments, folder, listen, Some(echo)).await
}

pub(crate) async fn lighttpd() -> Origin {
    let (folder, listen) = place();
    let at = folder.path().display();
    let (ip, port) = (listen.ip(), listen.port());
    // Not normalised: what it was asked is to be seen as it came.
    let text = format!(
        "server.document-root = \"{at}\"
server.bind = \"{ip}\"
server.port = {port}
server.modules = (\"mod_rewrite\", \"mod_cgi\")
server.errorlog = \"{at}/error.log\"
server.max-keep-alive-idle = 60
server.http-parseopts = (\"url-normalize\" => \"disable\")
url.rewrite-once = (\"^\" => \"/echo.sh\")
cgi.assign = (\".sh\" => \"/bin/sh\")
"
    );
    copy(&folder, "echo.sh");
    let configuration = write(&folder, "lighttpd.conf", &text);
    let arguments = ["-D".to_owned(), "-f".to_owned(), configuration];
    start("lighttpd", &arguments, folder, listen, None).await
}

pub(crate) async fn gunicorn() -> Origin {
    let (folder, listen) = place();
    let bind = listen.to_string();
    let arguments = [
        "--bind",
        &bind,
        "--worker-class",
        "gthread",
        "--threads",
        "8",
        "--keep-alive",
        "60",
        "--no-control-socket",
        "--chdir",
        SCRIPTS,
        "echo_wsgi:app",
    ];
    start("gunicorn", &arguments, folder, listen, None).await
}

/// With the parser in Python, which is the strictest there is.
pub(crate) async fn uvicorn() -> Origin {
    let (folder, listen) = place();
    let (ip, port) = (listen.ip().to_string(), listen.port().to_string());
    let arguments = [
        "--host",
        &ip,
        "--port",
        &port,
        "--http",
        "h11",
        "--timeout-keep-alive",
        "60",
        "--log-level",
        "warning",
        "--app-dir",
        SCRIPTS,
        "echo_asgi:app",
    ];
    start("uvicorn", &arguments, folder, listen, None).await
}

pub(crate) async fn node() -> Origin {
    let (folder, listen) = place();
    let (ip, port) = (listen.ip().to_string(), listen.port().to_string());
    let arguments = [script("echo.js"), ip, port];
    start("node", &arguments, folder, listen, None).await
}

/// A folder that servers may read that give up root, and a free port.
pub(crate) fn place() -> (TempDir, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    (folder, listener.local_addr().unwrap())
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn copy(folder: &TempDir, name: &str) {
    let path = folder.path().join(name);
    fs::copy(script(name), &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Starts it, and waits until it accepts connections.
pub(crate) async fn start<A: AsRef<std::ffi::OsStr>>(
    name: &str,
    arguments: &[A],
    folder: TempDir,
    address: SocketAddr,
    echo: Option<Echo>,
) -> Origin {
    let log = folder.path().join("log");
    let output = fs::File::create(&log).unwrap();
    let process = Command::new(program(name))
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let accepts = || async { TcpStream::connect(address).await.ok() };
    if wait::within(START, accepts).await.is_none() {
        let log = fs::read_to_string(log).unwrap_or_default();
        panic!("{name} does not listen:\n{log}");
    }
    Origin {
        address,
        process: Some(process),
        _echo: echo,
        _folder: folder,
    }
}
