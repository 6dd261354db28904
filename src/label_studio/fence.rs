//! Until when this process may start requests. Whoever holds a lease pushes the fence back with each renewal; once it is
//! passed nothing starts, however long the process or its machine has slept. It must not wait for anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::boottime::Boottime;

/// Cloning shares it.
#[derive(Clone)]
pub struct Fence {
    until: Arc<Mutex<Boottime>>,
}

impl Fence {
    /// For a process that shares its work with nobody.
    pub fn open() -> Self {
        Self { until: Arc::new(Mutex::new(Boottime::NEVER)) }
    }

    /// Nothing starts before it is moved.
    pub fn closed() -> Self {
        let fence = Self::open();
        fence.close();
        fence
    }

    pub fn is_open(&self) -> bool {
        Boottime::now() < *self.lock()
    }

    pub fn move_to(&self, until: Boottime) {
        *self.lock() = until;
    }

    pub fn close(&self) {
        // Whatever this instant is, it is over.
        self.move_to(Boottime::now());
    }

    fn lock(&self) -> MutexGuard<'_, Boottime> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Fence {
    fn default() -> Self {
        Self::open()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted};
    use super::super::{Client, Error, Pace, Traffic, Visitor};
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_open_until_its_instant_and_every_clone_sees_it_moved() {
        let fence = Fence::closed();
        let seen = fence.clone();
        assert!(!seen.is_open());
        fence.move_to(Boottime::now() + Duration::from_secs(60));
        assert!(seen.is_open());
        fence.move_to(Boottime::now() - Duration::from_secs(1));
        assert!(!seen.is_open());
        assert!(Fence::default().is_open());
    }

    #[tokio::test]
    async fn behind_a_closed_fence_nothing_is_sent_with_a_token_or_without() {
        let server = Scripted::start(|_| Reply::json(200, &serde_json::json!({})));
        let fence = Fence::open();
        let connection = server.connection("sesame-sesame", Traffic::behind(fence.clone()));
        let (base_url, timeouts) = (connection.base_url.clone(), connection.timeouts);
        let client = Client::new(connection, Pace::unlimited()).unwrap();
        let visitor = Visitor::new(base_url, None, timeouts, Traffic::behind(fence.clone())).unwrap();
        assert!(client.whoami().await.is_err(), "an empty answer is none");
        let before = server.asked().len();
        fence.close();
        assert!(matches!(client.whoami().await, Err(Error::NotStarted)));
        assert!(matches!(visitor.sign_up_state().await, Err(Error::NotStarted)));
        assert_eq!(server.asked().len(), before);
    }
}
