//! What a task reaches with the network off, allow-listed and on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpListener;

use common::{Place, everyone};
use deskhand_sandbox::{Network, SpawnError, Tier};

fn allow(hosts: &[&str]) -> Network {
    Network::Allow(hosts.iter().map(|host| (*host).to_owned()).collect())
}

/// Runs curl through the proxy's address and returns the status it was told.
async fn status(place: &Place, network: Network, arguments: &str) -> String {
    let mut profile = place.profile();
    profile.network = network;
    let curl = format!(
        "curl -s -m 20 -o /dev/null -w '%{{http_code}} %{{http_connect}}' {arguments}; echo \" $?\""
    );
    place.sh(&profile, &curl).await.stdout.trim().to_owned()
}

#[tokio::test]
async fn an_allow_list_leads_to_the_proxy_and_nowhere_else() {
    for who in everyone() {
        let place = Place::of(who, Tier::Full);
        let proxy = "-x http://127.0.0.1:3128";
        // Nobody resolves .invalid: the proxy was asked, and has allowed it.
        assert_eq!(
            status(
                &place,
                allow(&["a.invalid"]),
                &format!("{proxy} http://a.invalid/")
            )
            .await,
            "502 000 0"
        );
        assert_eq!(
            status(
                &place,
                allow(&["a.invalid"]),
                &format!("{proxy} http://b.invalid/")
            )
            .await,
            "403 000 0"
        );
        assert_eq!(
            status(
                &place,
                allow(&["a.invalid"]),
                &format!("{proxy} https://b.invalid/")
            )
            .await,
            "000 403 56"
        );
        assert_eq!(
            status(&place, allow(&[]), &format!("{proxy} http://a.invalid/")).await,
            "403 000 0"
        );
        assert_eq!(
            status(
                &place,
                allow(&["localhost"]),
                &format!("{proxy} http://localhost/")
            )
            .await,
            "403 000 0"
        );
        let socks = "-x socks5h://127.0.0.1:3128 http://b.invalid/";
        assert_eq!(
            status(&place, allow(&["a.invalid"]), socks).await,
            "000 000 97"
        );
    }
}

#[tokio::test]
async fn past_the_proxy_there_is_nothing() {
    for who in everyone() {
        let place = Place::of(who, Tier::Full);
        let host = TcpListener::bind("127.0.0.1:0").unwrap();
        host.set_nonblocking(true).unwrap();
        let url = format!(
            "--noproxy '*' http://127.0.0.1:{}/",
            host.local_addr().unwrap().port()
        );
        assert_eq!(
            status(&place, allow(&["a.invalid"]), &url).await,
            "000 000 7"
        );
        assert_eq!(status(&place, Network::Off, &url).await, "000 000 7");
        assert!(host.accept().is_err());
        let on = status(&place, Network::On, &format!("-m 1 {url}")).await;
        assert!(host.accept().is_ok(), "{on}");
        let names = "getent hosts localhost.localdomain one.invalid; ip -o addr 2>/dev/null | grep -v ' lo ' ; cat /proc/net/dev | tail -n +3 | cut -d: -f1";
        let mut profile = place.profile();
        profile.network = allow(&["a.invalid"]);
        assert_eq!(
            place
                .sh(&profile, names)
                .await
                .stdout
                .lines()
                .last()
                .map(str::trim),
            Some("lo")
        );
    }
}

#[tokio::test]
async fn without_a_network_namespace_an_allow_list_is_not_to_be_had() {
    let place = Place::new(Tier::Reduced);
    let mut profile = place.profile();
    profile.network = allow(&["a.invalid"]);
    let error = place
        .run(&profile, place.command(&["true"]))
        .await
        .unwrap_err();
    let SpawnError::Unavailable { missing, .. } = error else {
        panic!("{error:?}")
    };
    assert!(
        missing.iter().any(|missing| missing.layer == "netns"),
        "{missing:?}"
    );
}

#[tokio::test]
async fn a_rule_that_makes_no_sense_starts_nothing() {
    let place = Place::new(Tier::Full);
    let mut profile = place.profile();
    profile.network = allow(&["http://a.invalid/"]);
    assert!(matches!(
        place.run(&profile, place.command(&["true"])).await,
        Err(SpawnError::Invalid(_))
    ));
}
