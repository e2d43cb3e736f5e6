//! How each proxy is told to do the same: terminate TLS for one hostname, keep
//! connections to one origin, tell it the client's address, log nothing, resume no
//! session.

use std::net::SocketAddr;

use anyhow::Result;

use super::contender::{Entry, Program, Site};
use crate::certificates::HOST;

pub(super) const ENTRIES: [Entry; 7] = [
    Entry {
        name: "hostquorumd",
        program: Program::Ours,
        version: &["--version"],
        needed: true,
        arguments: ours,
    },
    Entry {
        name: "nginx",
        program: Program::Named("nginx"),
        version: &["-v"],
        needed: true,
        arguments: nginx,
    },
    Entry {
        name: "haproxy",
        program: Program::Named("haproxy"),
        version: &["-v"],
        needed: true,
        arguments: haproxy,
    },
    Entry {
        name: "floor",
        program: Program::This,
        version: &["--none"],
        needed: true,
        arguments: floor,
    },
    Entry {
        name: "caddy",
        program: Program::Named("caddy"),
        version: &["version"],
        needed: false,
        arguments: caddy,
    },
    Entry {
        name: "traefik",
        program: Program::Named("traefik"),
        version: &["version"],
        needed: false,
        arguments: traefik,
    },
    Entry {
        name: "envoy",
        program: Program::Named("envoy"),
        version: &["--version"],
        needed: false,
        arguments: envoy,
    },
];

fn ours(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    Ok(words(&[
        "bench",
        "--listen",
        &listen.to_string(),
        "--origin",
        &site.origin.to_string(),
        "--certs",
        &site.certs().display().to_string(),
    ]))
}

fn floor(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    Ok(words(&[
        "floor",
        "--listen",
        &listen.to_string(),
        "--origin",
        &site.origin.to_string(),
        "--pem",
        &site.pem().display().to_string(),
    ]))
}

fn nginx(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    let folder = site.folder.display();
    let (origin, pem) = (site.origin, site.pem());
    let pem = pem.display();
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let text = format!(
        "daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000; keepalive_timeout 300s;
  client_body_temp_path {folder}/nginx-a; proxy_temp_path {folder}/nginx-b;
  fastcgi_temp_path {folder}/nginx-c; uwsgi_temp_path {folder}/nginx-d; scgi_temp_path {folder}/nginx-e;
  upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen {listen} ssl http2; server_name {HOST};
    ssl_certificate {pem}; ssl_certificate_key {pem};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets off; ssl_session_cache off;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_max_temp_file_size 0;
      proxy_set_header Connection ''; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https;
    }}
  }}
}}
"
    );
    let path = site.write("nginx.conf", &text)?;
    Ok(words(&["-p", &folder.to_string(), "-c", &path]))
}

fn haproxy(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    let (origin, pem) = (site.origin, site.pem());
    let pem = pem.display();
    let text = format!(
        "global
  nbthread 1
  maxconn 4096
  tune.ssl.cachesize 0
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind {listen} ssl crt {pem} alpn h2,http/1.1
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  default_backend origin
backend origin
  server origin {origin}
"
    );
    let path = site.write("haproxy.cfg", &text)?;
    Ok(words(&["-db", "-f", &path]))
}

fn caddy(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    let (origin, pem, port) = (site.origin, site.pem(), listen.port());
    let (pem, ip) = (pem.display(), listen.ip());
    let text = format!(
        "{{
  admin off
  auto_https off
  persist_config off
  default_bind {ip}
  servers {{
    protocols h1 h2
  }}
}}
https://{HOST}:{port} {{
  tls {pem} {pem}
  reverse_proxy {origin}
}}
"
    );
    let path = site.write("Caddyfile", &text)?;
    Ok(words(&["run", "--adapter", "caddyfile", "--config", &path]))
}

fn traefik(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    let (origin, pem) = (site.origin, site.pem());
    let pem = pem.display();
    let routes = format!(
        "http:
  routers:
    all:
      rule: Host(`{HOST}`)
      service: origin
      tls: {{}}
  services:
    origin:
      loadBalancer:
        servers: [{{url: 'http://{origin}'}}]
tls:
  certificates: [{{certFile: '{pem}', keyFile: '{pem}'}}]
"
    );
    let routes = site.write("traefik-routes.yaml", &routes)?;
    let text = format!(
        "entryPoints: {{tls: {{address: '{listen}'}}}}
providers: {{file: {{filename: '{routes}'}}}}
global: {{checkNewVersion: false, sendAnonymousUsage: false}}
log: {{level: ERROR}}
"
    );
    let path = site.write("traefik.yaml", &text)?;
    Ok(words(&[&format!("--configFile={path}")]))
}

fn envoy(site: &Site, listen: SocketAddr) -> Result<Vec<String>> {
    let (origin, pem) = (site.origin, site.pem());
    let pem = pem.display();
    let socket = |address: SocketAddr| {
        format!(
            "{{socket_address: {{address: {}, port_value: {}}}}}",
            address.ip(),
            address.port()
        )
    };
    let (listen, origin) = (socket(listen), socket(origin));
    let types = "type.googleapis.com/envoy.extensions";
    let text = format!(
        "static_resources:
  listeners:
  - address: {listen}
    filter_chains:
    - transport_socket:
        name: tls
        typed_config:
          '@type': {types}.transport_sockets.tls.v3.DownstreamTlsContext
          disable_stateless_session_resumption: true
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates: [{{certificate_chain: {{filename: {pem}}}, private_key: {{filename: {pem}}}}}]
      filters:
      - name: http
        typed_config:
          '@type': {types}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: bench
          use_remote_address: true
          http_filters:
          - name: router
            typed_config: {{'@type': {types}.filters.http.router.v3.Router}}
          route_config:
            virtual_hosts:
            - {{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: origin}}}}]}}
  clusters:
  - name: origin
    load_assignment:
      cluster_name: origin
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {origin}}}}}]}}]
"
    );
    let path = site.write("envoy.yaml", &text)?;
    Ok(words(&[
        "-c",
        &path,
        "--concurrency",
        "1",
        "-l",
        "error",
        "--use-dynamic-base-id",
    ]))
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
