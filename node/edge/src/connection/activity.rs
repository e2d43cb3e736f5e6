//! What a connection is doing, and until when it may.
//!
//! hyper's own head timeout cannot tell a resting connection from a slow one,
//! and HTTP/2 has none; so one deadline a connection is computed here, from what
//! the socket and the requests note down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use crate::{
    http::lines::Fault,
    limits::{CLOSING, Limits},
    metrics::Counters,
    observe::Observed,
};

/// Notes of one connection. All are written and read on one core; they are
/// atomics because tasks must be `Send`.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// A [`Stage`].
    stage: AtomicU8,
    /// Heads are timed from their first byte; HTTP/2 has no such moment that
    /// could be seen from outside.
    times_heads: AtomicBool,
    requests_open: AtomicU32,
    served_any: AtomicBool,
    /// A byte of the next head has arrived.
    head_begun: AtomicBool,
    /// When the connection came to rest, or the next head began.
    since: AtomicU64,
    /// When a request last moved.
    moved: AtomicU64,
    /// Since when the client takes nothing; 0: it does.
    stalled: AtomicU64,
    /// When the connection was told to end; 0: it was not.
    ending: AtomicU64,
    /// Requests whose heads have arrived, in HTTP/1.1 the number of the present one.
    requests: AtomicU32,
    /// The request whose head has a fault, 0 while there is none; and which, among all.
    faulty: AtomicU32,
    fault: AtomicUsize,
    tunnel: AtomicBool,
    /// It was asked to make room for others.
    asked: AtomicBool,
    leave: Notify,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Stage {
    /// Nothing that we want was sent yet.
    Silent,
    /// A handshake is being made.
    Handshake,
    /// It is ready for requests.
    Serving,
}

/// What the deadline means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The connection has rested long enough: end it in good form.
    Rested,
    /// The client is too slow, or gone.
    Overdue(&'static str),
}

impl Activity {
    /// Of a connection that was just accepted.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            stage: AtomicU8::new(Stage::Silent as u8),
            times_heads: AtomicBool::new(false),
            requests_open: AtomicU32::new(0),
            served_any: AtomicBool::new(false),
            head_begun: AtomicBool::new(false),
            since: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            ending: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            leave: Notify::new(),
            requests: AtomicU32::new(0),
            faulty: AtomicU32::new(0),
            fault: AtomicUsize::new(0),
            tunnel: AtomicBool::new(false),
        })
    }

    /// Its client has said what a handshake needs.
    pub(crate) fn shakes_hands(&self) {
        self.stage.store(Stage::Handshake as u8, Relaxed);
    }

    /// It is ready for requests.
    pub(crate) fn serves(&self, times_heads: bool) {
        self.times_heads.store(times_heads, Relaxed);
        self.head_begun.store(times_heads, Relaxed);
        self.since.store(self.now(), Relaxed);
        self.stage.store(Stage::Serving as u8, Relaxed);
    }

    /// True while its client has not said what a handshake needs, and it was not asked to
    /// leave.
    pub(crate) fn is_silent(&self) -> bool {
        self.stage.load(Relaxed) == Stage::Silent as u8 && !self.asked.load(Relaxed)
    }

    /// Since when it rests between requests, if it does and was not told or asked to end.
    pub(crate) fn rests_since(&self) -> Option<Instant> {
        let rests = self.stage.load(Relaxed) == Stage::Serving as u8
            && self.requests_open.load(Relaxed) == 0
            && !self.head_begun.load(Relaxed)
            && self.ending.load(Relaxed) == 0
            && !self.asked.load(Relaxed);
        rests.then(|| self.after(self.since.load(Relaxed), Duration::ZERO))
    }

    /// Asks it to end after what it has begun. False: it was asked before.
    pub(crate) fn leave(&self) -> bool {
        let first = !self.asked.swap(true, Relaxed);
        if first {
            self.leave.notify_one();
        }
        first
    }

    /// Waits until it is asked to end; to be awaited to its end once.
    pub(crate) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Until when the connection may go on as it does, and what comes then.
    pub(crate) fn deadline(&self, limits: &Limits) -> (Instant, Expiry) {
        let (at, expiry) = self.phase(limits);
        let stalled = self.stalled.load(Relaxed);
        if stalled != 0 {
            let until = self.after(stalled, limits.write_stall);
            if until < at {
                return (until, Expiry::Overdue("the client takes nothing"));
            }
        }
        (at, expiry)
    }

    fn phase(&self, limits: &Limits) -> (Instant, Expiry) {
        let ending = self.ending.load(Relaxed);
        if self.requests_open.load(Relaxed) > 0 {
            let longest = limits
                .exchange_idle
                .max(limits.response_head + limits.connect + limits.origin_handshake);
            (
                self.after(self.moved.load(Relaxed), longest),
                Expiry::Overdue("nothing moves"),
            )
        } else if ending != 0 {
            (
                self.after(ending.max(self.since.load(Relaxed)), CLOSING),
                Expiry::Overdue("it does not close"),
            )
        } else if self.head_begun.load(Relaxed) {
            (
                self.after(self.since.load(Relaxed), limits.head),
                Expiry::Overdue("the head does not arrive"),
            )
        } else {
            (
                self.after(self.since.load(Relaxed), limits.idle),
                Expiry::Rested,
            )
        }
    }

    fn after(&self, at: u64, duration: Duration) -> Instant {
        self.begun + Duration::from_millis(at) + duration
    }

    fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    /// Milliseconds since the beginning, at least 1 so that 0 can mean never.
    fn at(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.begun).as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    /// Bytes came from the client.
    pub(crate) fn received(&self) {
        if self.times_heads.load(Relaxed)
            && self.requests_open.load(Relaxed) == 0
            && !self.head_begun.swap(true, Relaxed)
        {
            self.since.store(self.now(), Relaxed);
        }
    }

    /// The client took bytes, or would not.
    pub(crate) fn wrote(&self, pending: bool) {
        if !pending {
            self.stalled.store(0, Relaxed);
        } else if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.now(), Relaxed);
        }
    }

    /// The head of an HTTP/1.1 request, counted from 1, has a fault. hyper may be at an
    /// earlier one.
    pub(crate) fn found(&self, request: u32, fault: Fault) {
        let number = Fault::ALL.iter().position(|other| *other == fault);
        self.fault.store(number.unwrap_or_default(), Relaxed);
        self.faulty.store(request, Relaxed);
    }

    /// What is wrong with the head of the request that is served now.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let faulty = self.faulty.load(Relaxed);
        let present = faulty != 0 && faulty == self.requests.load(Relaxed);
        present
            .then(|| Fault::ALL.get(self.fault.load(Relaxed)).copied())
            .flatten()
    }

    /// What follows is no HTTP.
    pub(crate) fn became_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    /// True once what follows is no HTTP.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }

    /// A request's body or its response moved.
    pub(crate) fn moved(&self) {
        self.moved_at(Instant::now());
    }

    /// The same, by who has just looked at the clock.
    pub(crate) fn moved_at(&self, now: Instant) {
        self.moved.store(self.at(now), Relaxed);
    }

    /// The connection was asked to end.
    pub(crate) fn told_to_end(&self) {
        self.ending.store(self.now(), Relaxed);
    }

    /// Until when the client of a new connection should have sent its first request, if it
    /// is about to end.
    pub(crate) fn first_request_by(&self, limits: &Limits) -> Instant {
        self.after(self.since.load(Relaxed), limits.head)
    }

    /// False while the client of a new connection may yet send a first request
    /// that it has every right to see answered.
    pub(crate) fn has_been_useful(&self) -> bool {
        !self.times_heads.load(Relaxed)
            || self.served_any.load(Relaxed)
            || self.requests_open.load(Relaxed) > 0
    }

    /// A request's head has arrived. Give the result to its response's body.
    pub(crate) fn request(self: &Arc<Self>, counters: &Arc<Counters>) -> OpenRequest {
        counters.requests.add();
        counters.requests_open.add();
        self.requests_open.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.head_begun.store(false, Relaxed);
        let now = Instant::now();
        self.moved_at(now);
        OpenRequest {
            activity: Arc::clone(self),
            counters: Arc::clone(counters),
            observed: Some(Observed::new(now)),
        }
    }
}

/// A request that is being served; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct OpenRequest {
    activity: Arc<Activity>,
    counters: Arc<Counters>,
    /// Until something else goes on with it.
    observed: Option<Observed>,
}

impl OpenRequest {
    /// What is noted down of it; nothing once it was taken over.
    pub(crate) const fn observed(&mut self) -> Option<&mut Observed> {
        self.observed.as_mut()
    }

    /// To be ended by who goes on with the request, after this was dropped.
    pub(crate) const fn hand_over(&mut self) -> Option<Observed> {
        self.observed.take()
    }

    /// Of which connection.
    pub(crate) const fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.served_any.store(true, Relaxed);
        let now = Instant::now();
        activity.since.store(activity.at(now), Relaxed);
        activity.requests_open.fetch_sub(1, Relaxed);
        self.counters.requests_open.sub();
        if let Some(observed) = self.observed.take() {
            observed.end(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn serving(times_heads: bool) -> Arc<Activity> {
        let activity = Activity::new();
        activity.serves(times_heads);
        activity
    }

    /// The deadline in whole seconds from the beginning.
    #[track_caller]
    fn check(activity: &Activity, seconds: u64, expiry: Expiry) {
        let (at, got) = activity.deadline(&Limits::default());
        assert_eq!(((at - activity.begun).as_secs(), got), (seconds, expiry));
    }

    const HEAD: Expiry = Expiry::Overdue("the head does not arrive");
    const STUCK: Expiry = Expiry::Overdue("nothing moves");

    #[tokio::test(start_paused = true)]
    async fn a_new_connection_is_timed_as_a_head() {
        let activity = serving(true);
        check(&activity, 10, HEAD);
        advance(Duration::from_secs(3)).await;
        activity.received();
        check(&activity, 10, HEAD);
        assert!(!activity.has_been_useful());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rest_is_longer_than_a_head() {
        let activity = serving(true);
        advance(Duration::from_secs(1)).await;
        let request = activity.request(&Arc::default());
        check(&activity, 301, STUCK);
        advance(Duration::from_secs(1)).await;
        request.activity().moved();
        check(&activity, 302, STUCK);
        drop(request);
        check(&activity, 62, Expiry::Rested);
        advance(Duration::from_secs(1)).await;
        activity.received();
        advance(Duration::from_secs(1)).await;
        activity.received();
        check(&activity, 13, HEAD);
        assert!(activity.has_been_useful());
    }

    #[tokio::test(start_paused = true)]
    async fn frames_alone_do_not_prolong_a_rest() {
        let activity = serving(false);
        advance(Duration::from_secs(5)).await;
        activity.received();
        check(&activity, 60, Expiry::Rested);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_client_is_cut_off() {
        let activity = serving(true);
        let _request = activity.request(&Arc::default());
        advance(Duration::from_secs(2)).await;
        activity.wrote(true);
        advance(Duration::from_secs(2)).await;
        activity.wrote(true);
        check(&activity, 32, Expiry::Overdue("the client takes nothing"));
        activity.wrote(false);
        check(&activity, 300, STUCK);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_to_end_ends() {
        let activity = serving(false);
        let request = activity.request(&Arc::default());
        activity.told_to_end();
        check(&activity, 300, STUCK);
        advance(Duration::from_secs(9)).await;
        drop(request);
        check(&activity, 14, Expiry::Overdue("it does not close"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_between_requests_only() {
        let activity = Activity::new();
        let rests = || activity.rests_since().is_some();
        assert!(activity.is_silent() && !rests());
        activity.shakes_hands();
        assert!(!activity.is_silent() && !rests());
        activity.serves(true);
        assert!(!rests(), "its first request is on its way");
        drop(activity.request(&Arc::default()));
        assert!(rests());
        activity.received();
        assert!(!rests(), "the next head has begun");
        let request = activity.request(&Arc::default());
        assert!(!rests());
        drop(request);
        assert!(rests());
        activity.told_to_end();
        assert!(!rests());
    }

    #[tokio::test]
    async fn it_is_asked_to_leave_once() {
        let activity = Activity::new();
        assert!(activity.leave() && !activity.leave());
        activity.asked_to_leave().await;
    }
}
