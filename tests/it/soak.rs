//! Small versions of the long runs; `cargo xtask soak` does the large ones.

use deskhand_tests::soak;

#[tokio::test]
async fn watchers_outlive_restarts_of_the_relay() {
    let seen = soak::restarts(4, 3).await;
    assert!(seen.n_reconnects >= 4, "{seen:?}");
}

#[tokio::test]
async fn malformed_frames_and_bodies_do_no_harm() {
    let grew = soak::malformed(1_000).await;
    assert!(grew < 20 * 1024 * 1024, "it grew by {grew} bytes");
}
