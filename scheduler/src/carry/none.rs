//! Where no thread runs the worker of another: no worker has an identity.

use std::time::Duration;

use super::Rested;

pub(crate) enum Identity {}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mate {}

impl Identity {
    pub(crate) fn of_this_thread() -> Option<Self> {
        None
    }

    pub(crate) fn mate(&self) -> Mate {
        match *self {}
    }

    pub(crate) fn rest(&self, _: Option<Duration>) -> Rested {
        match *self {}
    }

    pub(crate) fn carry(&self, _: Mate, _: Option<Duration>) -> bool {
        match *self {}
    }

    pub(crate) fn is_away(&self) -> bool {
        match *self {}
    }

    pub(crate) fn try_to_go_home(&self) -> Rested {
        match *self {}
    }

    pub(crate) fn go_home(&self) {
        match *self {}
    }
}

impl Mate {
    pub(crate) fn call(self) -> bool {
        match self {}
    }

    pub(crate) fn ring(self) -> bool {
        match self {}
    }

    pub(crate) fn kernel_thread(self) -> Option<libc::pid_t> {
        match self {}
    }

    pub(crate) fn retire(self) {
        match self {}
    }
}
