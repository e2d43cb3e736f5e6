use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{task::JoinSet, time::sleep};

use super::*;

/// A leader that answers after `delay`.
struct Leader {
    delay: Duration,
    answer: Result<Option<String>, Unreachable>,
    asked: AtomicU32,
}

#[async_trait]
impl ChallengeSource for Leader {
    async fn key_authorization(
        &self,
        _: &Hostname,
        _: Option<&str>,
    ) -> Result<Option<String>, Unreachable> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep(self.delay).await;
        self.answer.clone()
    }
}

fn leader(delay: u64, answer: Result<Option<&str>, Unreachable>) -> (Arc<Leader>, Arc<Challenges>) {
    let leader = Arc::new(Leader {
        delay: Duration::from_millis(delay),
        answer: answer.map(|found| found.map(str::to_owned)),
        asked: AtomicU32::new(0),
    });
    (Arc::clone(&leader), Challenges::new(leader))
}

async fn ask(challenges: &Arc<Challenges>, token: &str) -> Option<String> {
    let question = (Hostname::parse("a.test").unwrap(), token.to_owned());
    let answer = challenges
        .answer(question, Some("thumb"), &Counters::default())
        .await;
    answer.map(|answer| answer.to_string())
}

#[tokio::test(start_paused = true)]
async fn the_leader_is_asked_once_for_all() {
    let (leader, challenges) = leader(500, Ok(Some("token.thumb")));
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let challenges = Arc::clone(&challenges);
        tasks.spawn(async move { ask(&challenges, "token").await });
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer.as_deref(), Some("token.thumb"));
    }
    assert_eq!(leader.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_leader_does_not_know_is_not_asked_again_at_once() {
    let (leader, challenges) = leader(0, Ok(None));
    for _ in 0..3 {
        assert_eq!(ask(&challenges, "token").await, None);
    }
    assert_eq!(leader.asked.load(Ordering::Relaxed), 1);
    sleep(CHALLENGE_UNKNOWN).await;
    assert_eq!(ask(&challenges, "token").await, None);
    assert_eq!(leader.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_the_answer_is_made_here() {
    let (_, challenges) = leader(0, Err(Unreachable));
    assert_eq!(
        ask(&challenges, "token").await.as_deref(),
        Some("token.thumb")
    );
    let (_, challenges) = leader(60_000, Ok(Some("late")));
    let begun = Instant::now();
    assert_eq!(
        ask(&challenges, "token").await.as_deref(),
        Some("token.thumb")
    );
    assert_eq!(begun.elapsed(), CHALLENGE);
}

#[tokio::test(start_paused = true)]
async fn without_an_account_there_is_no_answer() {
    let (_, challenges) = leader(0, Err(Unreachable));
    let question = (Hostname::parse("a.test").unwrap(), "token".to_owned());
    assert_eq!(
        challenges
            .answer(question, None, &Counters::default())
            .await,
        None
    );
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_reach_the_leader() {
    let (leader, challenges) = leader(0, Ok(None));
    for number in 0..3 * CHALLENGES_PER_SECOND {
        ask(&challenges, &format!("token{number}")).await;
    }
    assert_eq!(leader.asked.load(Ordering::Relaxed), CHALLENGES_PER_SECOND);
    assert!(challenges.notes().flying.is_empty());
}
