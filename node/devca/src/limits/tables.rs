//! The tables of limits that are known, and one small enough to reach by hand.

use super::{Limit, Limits, RequestLimits};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;
const DAY: u64 = 24 * HOUR;

const fn each_second(count: u64, burst: u64) -> Option<Limit> {
    Some(Limit {
        burst,
        count,
        period_millis: SECOND,
    })
}

impl Limits {
    /// Let's Encrypt, production, as documented in August 2026.
    pub fn production() -> Self {
        Self {
            new_orders_per_account: Some(Limit::per_millis(300, 3 * HOUR)),
            certificates_per_domain: Some(Limit::per_millis(50, 7 * DAY)),
            certificates_per_set: Some(Limit::per_millis(5, 7 * DAY)),
            failed_validations: Some(Limit::per_millis(5, HOUR)),
            consecutive_failures: Some(Limit {
                burst: 1_152,
                count: 1,
                period_millis: DAY,
            }),
            new_accounts_per_ip: Some(Limit::per_millis(10, 3 * HOUR)),
            new_accounts_per_range: Some(Limit::per_millis(500, 3 * HOUR)),
            requests: RequestLimits {
                directory: each_second(40, 40),
                new_nonce: each_second(20, 10),
                new_account: each_second(5, 15),
                new_order: each_second(300, 200),
                revoke: each_second(10, 100),
                renewal_info: each_second(1_000, 100),
                other: each_second(250, 125),
            },
            overrides: Vec::new(),
        }
    }

    /// Let's Encrypt, staging: wide, but slow at everything without a limit of its own.
    pub fn staging() -> Self {
        Self {
            new_orders_per_account: Some(Limit::per_millis(1_500, 3 * HOUR)),
            certificates_per_domain: Some(Limit::per_millis(30_000, SECOND)),
            certificates_per_set: Some(Limit::per_millis(30_000, 7 * DAY)),
            failed_validations: Some(Limit::per_millis(200, HOUR)),
            requests: RequestLimits {
                other: each_second(20, 20),
                ..Self::production().requests
            },
            ..Self::production()
        }
    }

    /// Limits of a few each, which come back within seconds or a minute.
    pub fn tiny() -> Self {
        Self {
            new_orders_per_account: Some(Limit::per_millis(3, 30 * SECOND)),
            certificates_per_domain: Some(Limit::per_millis(3, 60 * SECOND)),
            certificates_per_set: Some(Limit::per_millis(2, 60 * SECOND)),
            failed_validations: Some(Limit::per_millis(2, 20 * SECOND)),
            consecutive_failures: Some(Limit::per_millis(4, HOUR)),
            new_accounts_per_ip: Some(Limit::per_millis(3, 60 * SECOND)),
            new_accounts_per_range: Some(Limit::per_millis(5, 60 * SECOND)),
            requests: RequestLimits::default(),
            overrides: Vec::new(),
        }
    }
}
