//! What was served for hostnames.

use admin::testing::Sums;
use proto::admin::v1::*;
use tonic::Code;

use crate::stand::Stand;

/// Has served each of 250 hostnames as often as its number says, and a little for others.
pub(crate) fn sums() -> Sums {
    let hostname = |number| (format!("h{number:03}.example"), number);
    Sums::new((0..250).map(hostname), 7)
}

#[tokio::test]
async fn pages_tell_of_each_hostname_once_and_of_the_rest_at_the_end() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    for page_size in [0, 1, 125, 249, 250, 251, 1000] {
        let mut told = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListHostnameStatsRequest {
                page_size,
                page_token,
            };
            let page = admin.stats.list_hostname_stats(request).await.unwrap();
            let page = page.into_inner();
            assert_eq!(page.counting.unwrap().boot, "boot");
            told.extend(page.stats);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(told, sums().all(), "in pages of {page_size}");
    }
}

#[tokio::test]
async fn one_hostname_is_told_of_whether_it_was_served_or_not() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    for (name, expected) in [
        ("hostnames/h042.example", Ok(42)),
        ("hostnames/other.example", Ok(0)),
        ("hostnames/-", Ok(7)),
        ("hostnames/", Err(Code::InvalidArgument)),
        ("h042.example", Err(Code::InvalidArgument)),
    ] {
        let request = GetHostnameStatsRequest {
            name: name.to_owned(),
        };
        let answer = admin.stats.get_hostname_stats(request).await;
        let told = answer.map(|answer| answer.into_inner().stats.unwrap().requests);
        assert_eq!(told.map_err(|status| status.code()), expected, "{name}");
    }
}

#[tokio::test]
async fn the_top_is_as_long_as_asked() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    for (size, expected) in [(1, Some(1)), (0, Some(100)), (1000, Some(250)), (-1, None)] {
        let request = ListTopHostnameStatsRequest { size };
        let answer = admin.stats.list_top_hostname_stats(request).await;
        let told = answer.ok().map(|answer| answer.into_inner().stats.len());
        assert_eq!(told, expected, "{size}");
    }
}

#[tokio::test]
async fn a_token_of_another_listing_is_refused() {
    let stand = Stand::start().await;
    let mut admin = stand.admin().await;
    let request = ListHostnamesRequest::default();
    for name in ["a.example", "b.example"] {
        stand.alone.authorize(name);
    }
    let page = ListHostnamesRequest {
        page_size: 1,
        ..request
    };
    let page = admin.hostnames.list_hostnames(page).await.unwrap();
    let request = ListHostnameStatsRequest {
        page_size: 1,
        page_token: page.into_inner().next_page_token,
    };
    assert!(!request.page_token.is_empty());
    let refused = admin.stats.list_hostname_stats(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
