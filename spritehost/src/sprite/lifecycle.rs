//! Transitions of a sprite, all under its lock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use snapvm_protocol::sprites::{NetworkPolicy, SpriteStatus};

use super::standby::Standby;
use super::{Awake, Boot, Phase, Sprite, SpriteError};
use crate::guest::lock;
use crate::network::NetworkError;

/// After a failure to freeze, the next try.
const RETRY: Duration = Duration::from_secs(5);

impl Sprite {
    /// Wakes the sprite if it sleeps, and keeps it awake as long as the answer lives.
    pub(crate) async fn awake(self: &Arc<Self>) -> Result<Awake, SpriteError> {
        let sprite = self.clone();
        // In a task of its own: a caller who goes away must not leave half a boot behind.
        let waking = tokio::spawn(async move { sprite.wake().await });
        waking.await.map_err(|_| SpriteError::Stopped)?
    }

    async fn wake(self: &Arc<Self>) -> Result<Awake, SpriteError> {
        let mut phase = self.phase.lock().await;
        let boot = match &*phase {
            Phase::Gone => return Err(SpriteError::Gone),
            Phase::Running(boot) => boot.clone(),
            Phase::Warm(boot, _) => {
                let (place, started) = (self.shared.limits.run()?, Instant::now());
                boot.thaw()?;
                *lock(&self.place) = Some(place);
                self.shared.metrics.thaws.add(started.elapsed());
                boot.clone()
            }
            Phase::Cold(_) => {
                let (place, started) = (self.shared.limits.run()?, Instant::now());
                let standby = self.take_standby(&mut phase).await;
                let (timed, was_ready) = match &standby {
                    Some(_) => (&self.shared.metrics.ready_boots, true),
                    None => (&self.shared.metrics.boots, false),
                };
                let standby = match standby {
                    Some(standby) => standby,
                    None => self.make_standby().await?,
                };
                let boot = Boot::begin(self, standby).await;
                *lock(&self.place) = Some(place);
                timed.add(started.elapsed());
                tokio::spawn(watch_death(self.clone(), boot.clone()));
                tracing::info!(sprite = lock(&self.record).name, was_ready, elapsed = ?started.elapsed(), "booted");
                boot
            }
        };
        if !matches!(*phase, Phase::Running(_)) {
            *phase = Phase::Running(boot.clone());
            self.set_status(SpriteStatus::Running);
            lock(&self.record).last_running_at = Some(crate::clock::now());
        }
        Ok(Awake { boot, guard: self.activity.enter() })
    }

    /// Puts a network policy in force, now and at every boot.
    pub(crate) async fn police(self: &Arc<Self>, policy: NetworkPolicy) -> Result<(), SpriteError> {
        let phase = self.phase.lock().await;
        self.change(|record| record.policy = policy.clone())?;
        match &*phase {
            Phase::Gone => Err(SpriteError::Gone),
            Phase::Cold(None) => Ok(()),
            Phase::Cold(Some(standby)) => standby.police(&policy).await,
            Phase::Running(boot) | Phase::Warm(boot, _) => boot.police(&policy).await,
        }
    }

    /// What is to be booted in. Where every address is taken, sprites that only are ready to boot give way.
    async fn make_standby(&self) -> Result<Standby, SpriteError> {
        loop {
            match Standby::make(self).await {
                Err(SpriteError::Network(NetworkError::Full)) => match self.shared.standbys.take_oldest() {
                    Some(oldest) => oldest.stand_down().await,
                    None => return Err(NetworkError::Full.into()),
                },
                made => return made,
            }
        }
    }

    /// Takes what stands by for it, if that lives; with the lock held.
    pub(super) async fn take_standby(&self, phase: &mut Phase) -> Option<Standby> {
        let Phase::Cold(standby) = phase else { return None };
        let standby = *standby.take()?;
        self.shared.standbys.remove(self);
        if standby.is_alive() {
            return Some(standby);
        }
        standby.end().await;
        None
    }

    /// Makes a cold sprite ready to boot, where the host has room for one more that is. Whoever wants it awake meanwhile
    /// waits for just this.
    pub(super) async fn stand_by(self: &Arc<Self>) {
        let mut phase = self.phase.lock().await;
        // Under the lock: a host that stops closes them first, and puts its sprites away then.
        let has_room = self.shared.standbys.are_open() && !crate::memory::is_short(&self.shared.options);
        if !matches!(*phase, Phase::Cold(None)) || !has_room {
            return;
        }
        match Standby::make(self).await {
            Ok(standby) => *phase = Phase::Cold(Some(Box::new(standby))),
            Err(error) => {
                tracing::warn!(%error, sprite = lock(&self.record).name, "making it ready to boot");
                return;
            }
        }
        let surplus = self.shared.standbys.add(self);
        drop(phase);
        if let Some(oldest) = surplus {
            oldest.stand_down().await;
        }
    }

    /// Ends what stands by for it, if something does.
    pub(crate) async fn stand_down(&self) {
        let mut phase = self.phase.lock().await;
        if let Some(standby) = self.take_standby(&mut phase).await {
            standby.end().await;
        }
    }

    /// Ends the boot, if there is one.
    pub(crate) async fn put_away(self: &Arc<Self>, in_order: bool) {
        let mut phase = self.phase.lock().await;
        if matches!(*phase, Phase::Gone) {
            return;
        }
        let old = std::mem::replace(&mut *phase, Phase::Cold(None));
        self.end(old, in_order).await;
    }

    /// Ends the boot for good.
    pub(crate) async fn retire(self: &Arc<Self>) {
        self.gone.cancel();
        let mut phase = self.phase.lock().await;
        let old = std::mem::replace(&mut *phase, Phase::Gone);
        self.end(old, false).await;
        crate::container::clear(&self.shared.runtime.join("s").join(&lock(&self.record).name));
        self.activity.touch();
    }

    /// Ends what a phase holds; with the lock held.
    pub(super) async fn end(&self, phase: Phase, in_order: bool) {
        match phase {
            Phase::Running(boot) => boot.end(in_order).await,
            Phase::Warm(boot, _) if in_order => {
                let _ = boot.thaw();
                boot.end(true).await;
            }
            Phase::Warm(boot, _) => boot.end(false).await,
            Phase::Cold(Some(standby)) => {
                self.shared.standbys.remove(self);
                standby.end().await;
            }
            Phase::Cold(None) | Phase::Gone => {}
        }
        self.tasks.clear_all();
        lock(&self.place).take();
        self.set_status(SpriteStatus::Cold);
    }

    /// Since when it has been frozen; nothing when it isn't, or something is being done with it.
    pub(crate) fn warm_since(&self) -> Option<Instant> {
        match &*self.phase.try_lock().ok()? {
            Phase::Warm(_, since) => Some(*since),
            _ => None,
        }
    }

    /// Drops it if it is still frozen; whether it was.
    pub(crate) async fn drop_if_warm(&self) -> bool {
        let mut phase = self.phase.lock().await;
        if !matches!(*phase, Phase::Warm(..)) {
            return false;
        }
        let old = std::mem::replace(&mut *phase, Phase::Cold(None));
        self.end(old, false).await;
        true
    }

    /// Freezes or drops what has been idle long enough; returns when to look again, if something can change without
    /// anybody saying so.
    async fn settle(self: &Arc<Self>) -> Option<Instant> {
        let mut phase = self.phase.lock().await;
        let now = Instant::now();
        let (warm_after, cold_after) = (self.shared.options.warm_after, self.shared.options.cold_after);
        match &*phase {
            Phase::Cold(_) | Phase::Gone => None,
            Phase::Running(boot) => {
                let idle_since = self.activity.idle_since()?;
                let due = self.tasks.until().map_or(idle_since, |end| end.max(idle_since)) + warm_after;
                if due > now {
                    return Some(due);
                }
                if let Err(error) = boot.freeze().await {
                    tracing::error!(%error, sprite = lock(&self.record).name, "freezing");
                    return Some(now + RETRY);
                }
                *phase = Phase::Warm(boot.clone(), now);
                lock(&self.place).take();
                self.set_status(SpriteStatus::Warm);
                Some(now + cold_after)
            }
            Phase::Warm(_, since) => {
                let due = *since + cold_after;
                if due > now {
                    return Some(due);
                }
                let old = std::mem::replace(&mut *phase, Phase::Cold(None));
                self.end(old, false).await;
                let sprite = self.clone();
                tokio::spawn(async move { sprite.stand_by().await });
                None
            }
        }
    }
}

/// Freezes and drops a sprite in its time, until it is deleted.
pub(super) async fn watch_idleness(sprite: Arc<Sprite>) {
    while !sprite.is_gone() {
        let next = sprite.settle().await;
        let until = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until => {}
            () = sprite.activity.changed.notified() => {}
        }
    }
}

/// Makes a sprite cold when its process 1 dies by itself.
async fn watch_death(sprite: Arc<Sprite>, boot: Arc<Boot>) {
    tokio::select! {
        () = boot.link.closed.cancelled() => {}
        () = boot.over.cancelled() => return,
    }
    let mut phase = sprite.phase.lock().await;
    let is_it = matches!(&*phase, Phase::Running(now) | Phase::Warm(now, _) if Arc::ptr_eq(now, &boot));
    if is_it {
        tracing::warn!(sprite = lock(&sprite.record).name, "process 1 is gone; the sprite is cold now");
        let old = std::mem::replace(&mut *phase, Phase::Cold(None));
        sprite.end(old, false).await;
    }
}
