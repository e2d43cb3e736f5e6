//! The definition as a whole, and lines that are and are not commands.

use clap::CommandFactory;

use super::*;

fn each(command: &clap::Command, look: &mut dyn FnMut(&clap::Command)) {
    look(command);
    for inner in command.get_subcommands() {
        each(inner, look);
    }
}

#[test]
fn the_definition_holds() {
    Arguments::command().debug_assert();
}

#[test]
fn every_option_has_its_variable_and_its_help() {
    let mut seen = 0;
    each(&Arguments::command(), &mut |command| {
        for option in command.get_arguments().filter(|arg| !arg.is_positional()) {
            let long = option.get_long().unwrap_or_default();
            if ["help", "version"].contains(&long) {
                continue;
            }
            let expected = format!("HOSTQUORUM_{}", long.to_uppercase().replace('-', "_"));
            let variable = option.get_env().and_then(|name| name.to_str());
            assert_eq!(variable, Some(&expected[..]), "--{long}");
            assert!(option.get_help().is_some(), "--{long}");
            seen += 1;
        }
        assert!(command.get_about().is_some(), "{}", command.get_name());
    });
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_help_tells_the_exit_codes() {
    let help = Arguments::command().render_long_help().to_string();
    for code in ["0  ", "1  ", "2  ", "5  ", "124  "] {
        assert!(help.contains(code), "{code}");
    }
}

#[track_caller]
fn parses(line: &str, good: bool) {
    let result = Arguments::try_parse_from(line.split_whitespace());
    assert_eq!(result.is_ok(), good, "{line}: {:?}", result.err());
}

#[test]
fn lines_are_parsed() {
    for line in [
        "hostquorum cluster init --acme letsencrypt --agree-to-terms --socket /run/s",
        "hostquorum cluster init --acme https://ca/dir --acme-root r.pem --contact mailto:a@b \
         --contact c@d --agree-to-terms --admin-name alice --origin http://app --socket s",
        "hostquorum cluster status -o json",
        "hostquorum stats",
        "hostquorum stats shop.example -o json",
        "hostquorum stats -",
        "hostquorum stats --top 5",
        "hostquorum stats --all --address a:1",
        "hostquorum -o yaml cluster members --context prod",
        "hostquorum cluster upgrade-check",
        "hostquorum cluster rotate serving-key control-key --wait",
        "hostquorum cluster rotate issuing-ca -o json",
        "hostquorum cluster transfer",
        "hostquorum cluster transfer node-2",
        "hostquorum cluster remove members/3 --wait --timeout 1m",
        "hostquorum issuance pause an-incident",
        "hostquorum issuance resume -o json",
        "hostquorum login --token-file - --address 10.0.0.1:7444 --name alice",
        "hostquorum context list",
        "hostquorum context use prod",
        "hostquorum context show",
        "hostquorum hostname add a.example b.example --wait",
        "hostquorum hostname add a.example --everywhere",
        "hostquorum hostname list --state failed --limit 10",
        "hostquorum hostname show a.example --address a:1,b:2 --address c:3",
        "hostquorum hostname watch a.example",
        "hostquorum hostname wait a.example --everywhere --timeout 90s",
        "hostquorum hostname explain a.example",
        "hostquorum hostname remove a.example --revision 7",
        "hostquorum hostname check a.example --contest",
        "hostquorum hostname records a.example --persist -o zone",
        "hostquorum zone records",
        "hostquorum origin set http://app:8080 --protocol http2 --revision 3",
        "hostquorum origin show",
        "hostquorum token create --role node --ttl 1h --out token",
        "hostquorum token list",
        "hostquorum token revoke 3",
        "hostquorum completion bash",
        "hostquorum man pages",
        "hostquorum cluster init --acme zerossl --agree-to-terms --eab-key-id k --eab-hmac-file f",
        "hostquorum hostname add a.example --tenant t --wildcard --keys both --ca le --profile p \
         --challenge dns-01 --manual",
        "hostquorum hostname set a.example --keys rsa --wildcard false --challenge auto \
         --revision 3",
        "hostquorum hostname list --tenant t --state parked",
        "hostquorum hostname contest a.example --tenant t",
        "hostquorum hostname end-contest a.example",
        "hostquorum zone show",
        "hostquorum zone set --ownership proof --edge-domain edge.example --points-to 192.0.2.1 \
         --points-to 2001:db8::1 --dns-zone acme.example --nameserver ns1.acme.example=192.0.2.1 \
         --nameserver ns2.acme.example=192.0.2.2,2001:db8::2 --caa open",
        "hostquorum ca add letsencrypt --agree-to-terms --contact a@b --rank 3",
        "hostquorum ca add https://ca.internal/dir --name own --agree-to-terms --acme-root r.pem \
         --allow orders=300/36s --allow certificates-per-domain=50/3h --finalize-atomic",
        "hostquorum ca list",
        "hostquorum ca show letsencrypt",
        "hostquorum ca set letsencrypt --rank 0 --profile shortlived --finalize-atomic false",
        "hostquorum ca bind zerossl --eab-key-id k --eab-hmac-file -",
        "hostquorum ca unbind zerossl",
        "hostquorum ca rollover letsencrypt",
        "hostquorum ca remove zerossl --revision 5",
        "hostquorum ledger show --ca letsencrypt --kind orders --key a.example --limit 10",
        "hostquorum ledger forecast --days 30",
        "hostquorum ledger override le --allow certificates-per-domain=300/34m --key a.example",
        "hostquorum ledger override le --clear orders",
        "hostquorum certificate list --expiring 30 --hostname a.example",
        "hostquorum certificate show abcd --pem",
        "hostquorum certificate upload a.example --cert c.pem --key -",
        "hostquorum certificate upload a.example --cert c.pem --move-at 2026-01-01T00:00:00Z",
        "hostquorum certificate request a.example --algorithm rsa --out a.csr",
        "hostquorum certificate revoke abcd --reason key-compromise",
        "hostquorum certificate reissue --where ca=le --where expiring<30d --urgent --yes",
    ] {
        parses(line, true);
    }
}

#[test]
fn wrong_lines_are_refused() {
    for line in [
        "hostquorum",
        "hostquorum cluster",
        "hostquorum cluster init --agree-to-terms --socket s",
        "hostquorum cluster remove",
        "hostquorum login --name alice",
        "hostquorum login --token hq1.secret --name alice",
        "hostquorum login hq1.secret --name alice",
        "hostquorum hostname add",
        "hostquorum hostname list --state dead",
        "hostquorum hostname wait a.example --timeout 5x",
        "hostquorum origin set",
        "hostquorum origin set http://a --protocol h2",
        "hostquorum token create",
        "hostquorum token create --role king",
        "hostquorum token create --role node --ttl forever",
        "hostquorum cluster status -o xml",
        "hostquorum cluster init --acme zerossl --agree-to-terms --eab-key-id k",
        "hostquorum hostname set a.example",
        "hostquorum hostname contest a.example",
        "hostquorum hostname set a.example --keys dsa",
        "hostquorum zone set",
        "hostquorum zone set --nameserver ns1.acme.example=192.0.2.1",
        "hostquorum zone set --dns-zone a.example --nameserver ns1=nowhere",
        "hostquorum ca add",
        "hostquorum ca set letsencrypt",
        "hostquorum ca set letsencrypt --allow orders",
        "hostquorum ca set letsencrypt --allow orders=0/36s",
        "hostquorum ca set letsencrypt --allow orders=300/x",
        "hostquorum ca bind zerossl --eab-key-id k",
        "hostquorum ca bind zerossl --eab-key-id k --eab-hmac c2VjcmV0",
        "hostquorum ledger show --kind nonsense",
        "hostquorum ledger override le",
        "hostquorum ledger override le --clear orders --allow orders=1/1s",
        "hostquorum certificate upload a.example --cert c.pem --keep --move-at 2026-01-01T00:00:00Z",
        "hostquorum certificate upload a.example --cert c.pem --move-at tomorrow",
        "hostquorum certificate reissue",
        "hostquorum certificate revoke abcd --reason boredom",
    ] {
        parses(line, false);
    }
}

#[test]
fn addresses_may_be_several() {
    let line = "hostquorum origin show --address a:1,b:2 --address c:3";
    let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
    assert_eq!(arguments.globals.address, ["a:1", "b:2", "c:3"]);
}
