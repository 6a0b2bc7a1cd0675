//! Who is there: how many connections, from where, for how long, and what memory their answers take.
//! When it is full, who has been there longest makes room, so that nobody can keep others out by
//! just staying.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::AddressKey;

/// Connections in all.
pub(super) const MAX_VISITORS: usize = 64;

/// Connections of one address (IPv6: one /64). A browser has six.
pub(super) const MAX_FROM_ONE: usize = 16;

/// Threads, with those of connections that were closed and are about to notice.
const MAX_THREADS: usize = 2 * MAX_VISITORS;

/// Who has been there for less is not sent away.
const MIN_STAY: Duration = Duration::from_secs(1);

/// All answers that are being taken, in bytes.
const MAX_HELD: usize = 16 << 20;

/// Smaller answers, in bytes, always find room: 128 of them are 8 MiB.
const SMALL: usize = 64 << 10;

/// How long to wait for memory at a time while somebody who has to go goes.
const RELEASE_PAUSE: Duration = Duration::from_millis(20);

/// All who are there.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    table: Mutex<VisitorTable>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct VisitorTable {
    present: Vec<VisitorEntry>,
    next: u64,
    held: usize,
}

#[derive(Debug)]
struct VisitorEntry {
    number: u64,
    source: AddressKey,
    since: Instant,
    socket: Arc<TcpStream>,
    held: usize,
    /// Told to go; its thread has not ended yet.
    leaving: bool,
}

/// One visitor's place, until dropped.
#[derive(Debug)]
pub(super) struct VisitorSlot {
    visitors: Arc<Visitors>,
    number: u64,
}

impl Visitors {
    /// A place for this connection; `None` when there is none and nobody has stayed long enough.
    pub(super) fn enter(
        self: &Arc<Visitors>,
        socket: &Arc<TcpStream>,
        source: AddressKey,
        now: Instant,
    ) -> Option<VisitorSlot> {
        let mut table = self.lock();
        if table.present.len() >= MAX_THREADS {
            return None;
        }
        if table.count(|visitor| visitor.source == source) >= MAX_FROM_ONE {
            table.dismiss_longest(now, |visitor| visitor.source == source)?;
        }
        if table.count(|_| true) >= MAX_VISITORS {
            table.dismiss_longest(now, |_| true)?;
        }
        let number = table.next;
        table.next += 1;
        let socket = socket.clone();
        table.present.push(VisitorEntry { number, source, since: now, socket, held: 0, leaving: false });
        Some(VisitorSlot { visitors: self.clone(), number })
    }

    /// Closes the connection that has been there longest, if that is long enough.
    pub(super) fn dismiss_one(&self, now: Instant) {
        self.lock().dismiss_longest(now, |_| true);
    }

    /// Ends every wait for a visitor's next byte. Answers on their way still go out.
    pub(super) fn stop_listening(&self) {
        for visitor in &self.lock().present {
            let _ = visitor.socket.shutdown(Shutdown::Read);
        }
    }

    /// Ends every wait.
    pub(super) fn dismiss_all(&self) {
        for visitor in &mut self.lock().present {
            visitor.dismiss();
        }
    }

    /// Waits until nobody is there any more: whether that came true in `time`.
    pub(super) fn wait_empty(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        let mut table = self.lock();
        while !table.present.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            table = self.wait(table, left);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, VisitorTable> {
        // Each change is whole before anything could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'t>(&self, table: MutexGuard<'t, VisitorTable>, time: Duration) -> MutexGuard<'t, VisitorTable> {
        self.changed.wait_timeout(table, time).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl VisitorTable {
    fn count(&self, which: impl Fn(&VisitorEntry) -> bool) -> usize {
        self.present.iter().filter(|visitor| !visitor.leaving && which(visitor)).count()
    }

    /// Sends the one away that has been there longest, if that is long enough.
    fn dismiss_longest(&mut self, now: Instant, which: impl Fn(&VisitorEntry) -> bool) -> Option<()> {
        let longest = self
            .present
            .iter_mut()
            .filter(|visitor| !visitor.leaving && which(visitor))
            .min_by_key(|visitor| visitor.since)
            .filter(|visitor| now.saturating_duration_since(visitor.since) >= MIN_STAY)?;
        longest.dismiss();
        Some(())
    }
}

impl VisitorEntry {
    fn dismiss(&mut self) {
        self.leaving = true;
        // Its thread wakes up with an end or an error.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

impl VisitorSlot {
    /// For thread names.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Sets `bytes` of memory aside for this visitor's answer until the place is dropped; false when
    /// there is none until `deadline`, or none to be had from those who have stayed long enough.
    pub(super) fn hold(&self, bytes: usize, deadline: Instant) -> bool {
        if bytes <= SMALL {
            return true;
        }
        let mut table = self.visitors.lock();
        loop {
            if table.held + bytes <= MAX_HELD {
                table.held += bytes;
                if let Some(own) = table.present.iter_mut().find(|each| each.number == self.number) {
                    own.held += bytes;
                }
                return true;
            }
            let now = Instant::now();
            let holds = |visitor: &VisitorEntry| visitor.held > 0 && visitor.number != self.number;
            let is_hopeless = table.dismiss_longest(now, holds).is_none()
                && !table.present.iter().any(|visitor| visitor.leaving && holds(visitor));
            if is_hopeless || now >= deadline {
                return false;
            }
            table = self.visitors.wait(table, RELEASE_PAUSE);
        }
    }
}

impl Drop for VisitorSlot {
    fn drop(&mut self) {
        let mut table = self.visitors.lock();
        if let Some(at) = table.present.iter().position(|visitor| visitor.number == self.number) {
            let visitor = table.present.swap_remove(at);
            table.held = table.held.saturating_sub(visitor.held);
        }
        drop(table);
        self.visitors.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener};

    fn source(n: u32) -> AddressKey {
        AddressKey::V4(Ipv4Addr::from_bits(n))
    }

    /// Both ends.
    fn connection() -> (Arc<TcpStream>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Arc::new(listener.accept().unwrap().0), client)
    }

    #[test]
    fn one_address_can_not_fill_it_and_its_oldest_makes_room() {
        let (visitors, start) = (Arc::new(Visitors::default()), Instant::now());
        let (socket, _client) = connection();
        let (first, mut first_client) = connection();
        let oldest = visitors.enter(&first, source(1), start).unwrap();
        let later = start + Duration::from_millis(500);
        let mut places: Vec<VisitorSlot> =
            (1..MAX_FROM_ONE).map(|_| visitors.enter(&socket, source(1), later).unwrap()).collect();
        assert!(visitors.enter(&socket, source(1), later).is_none());
        places.push(visitors.enter(&socket, source(2), later).unwrap());
        // A second after the first came, it is closed for a newcomer, but only for one.
        let then = start + MIN_STAY;
        places.push(visitors.enter(&socket, source(1), then).unwrap());
        assert_eq!(first_client.read(&mut [0]).unwrap(), 0);
        assert!(visitors.enter(&socket, source(1), then).is_none());
        drop(oldest);
        assert!(visitors.enter(&socket, source(1), then).is_none(), "its place is taken");
        drop(places);
        assert!(visitors.enter(&socket, source(1), then).is_some());
    }

    #[test]
    fn threads_that_do_not_end_are_counted() {
        let (visitors, start) = (Arc::new(Visitors::default()), Instant::now());
        let (socket, _client) = connection();
        let mut places = Vec::new();
        for n in 0..1000 {
            let now = start + n * MIN_STAY;
            places.extend(visitors.enter(&socket, source(n), now));
        }
        assert_eq!(places.len(), MAX_THREADS);
        drop(places);
        assert!(visitors.wait_empty(Duration::ZERO));
    }

    #[test]
    fn memory_is_bounded_and_small_answers_always_fit() {
        let visitors = Arc::new(Visitors::default());
        let (socket, _client) = connection();
        let now = Instant::now();
        let deadline = now + Duration::from_secs(5);
        let large = MAX_HELD / 4;
        let enter = |n| visitors.enter(&socket, source(n), now).unwrap();
        let mut places: Vec<VisitorSlot> = (0..4).map(enter).collect();
        assert!(places.iter().all(|place| place.hold(large, deadline)));
        let next = enter(5);
        assert!(!next.hold(large, deadline), "nobody has stayed long enough");
        assert!(next.hold(SMALL, deadline));
        places.pop();
        assert!(next.hold(large, deadline));
        drop((places, next));
        assert_eq!(visitors.lock().held, 0);
    }

    #[test]
    fn who_holds_memory_for_long_makes_room() {
        let visitors = Arc::new(Visitors::default());
        let (old, mut old_client) = connection();
        let (new, _new_client) = connection();
        let deadline = Instant::now() + Duration::from_secs(20);
        let Some(past) = Instant::now().checked_sub(MIN_STAY) else {
            return;
        };
        let holder = visitors.enter(&old, source(1), past).unwrap();
        assert!(holder.hold(MAX_HELD, deadline));
        let thread = std::thread::spawn(move || {
            // Blocked like one whose visitor does not read, until it is told to go.
            let _ = (&*old).read(&mut [0]);
            drop(holder);
        });
        assert!(visitors.enter(&new, source(2), Instant::now()).unwrap().hold(MAX_HELD, deadline));
        thread.join().unwrap();
        assert_eq!(old_client.read(&mut [0]).unwrap(), 0);
    }
}
