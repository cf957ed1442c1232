//! Sealing the args of jobs that are made. An envelope is bound to one job, and where a unique policy replaces what waits it
//! comes to stand in a job that is there already: which one is looked up before, and a guard in the commit refuses it if the
//! slot has another holder by then. Then it is sealed again.

use super::{Maker, Plan, RegisterRow};
use crate::db::{DbError, Scope, Statement};
use crate::enqueue::JobRow;
use crate::seal::{Bound, Sealing};
use crate::write::json;
use serde::Serialize;
use std::collections::{HashMap, HashSet};

crate::sql!(HOLDERS, "../sql/sealed_holders.sql");
crate::sql!(GUARD_ELSEWHERE, "../sql/sealed_guard.sql");

/// What the guard is called.
pub(super) const GUARD: &str = "sealed_elsewhere";

/// A row to be sealed.
pub(super) struct Plain {
    at: usize,
    args: String,
    /// The job that will hold what is sealed.
    whose: String,
}

impl Plain {
    pub fn of(sealing: &Sealing, row: &JobRow, at: usize) -> Option<Self> {
        sealing.seals(&row.kind).then(|| Self { at, args: row.args.clone(), whose: row.id.clone() })
    }
}

#[derive(Serialize)]
struct SlotRow<'a> {
    id: &'a str,
    unique_key: &'a str,
    args: &'a str,
    whose: &'a str,
}

impl Plan {
    /// Puts envelopes into the rows, each for the job that will hold it.
    pub(super) async fn seal(&mut self, maker: &Maker) -> Result<(), DbError> {
        self.find_holders(maker).await?;
        for plain in &self.sealed {
            let row = &mut self.rows[plain.at];
            let bound = Bound { id: &plain.whose, kind: &row.kind, tenant: &row.tenant };
            row.args = maker.sealing.sealed(&bound, &plain.args)?;
        }
        Ok(())
    }

    /// What waits is replaced; else the first row of a slot makes the job, unless its key is somebody else's.
    async fn find_holders(&mut self, maker: &Maker) -> Result<(), DbError> {
        let asked = self.slot_rows(false);
        if asked.is_empty() {
            return Ok(());
        }
        let rows = maker.db.query(&Scope::System, HOLDERS.with([json(&asked).into()])).await?;
        let mut holders: HashMap<String, String> = HashMap::new();
        for row in rows {
            holders.insert(row.text("id")?, row.text("holder")?);
        }
        let others = self.keys_of_others(maker).await?;
        let mut makers: HashMap<String, String> = HashMap::new();
        for plain in &mut self.sealed {
            let row = &self.rows[plain.at];
            let Some(hold) = row.hold.as_ref().filter(|hold| hold.replaces()) else { continue };
            if others.contains(&row.reg) {
                continue;
            }
            let first = makers.entry(hold.unique_key.clone()).or_insert_with(|| row.id.clone());
            plain.whose = holders.get(&row.id).filter(|holder| !holder.is_empty()).unwrap_or(first).clone();
        }
        Ok(())
    }

    /// Keys that the register gave to jobs of other calls.
    async fn keys_of_others(&self, maker: &Maker) -> Result<HashSet<String>, DbError> {
        let mut others = HashSet::new();
        for statement in self.answer_chunks() {
            for row in maker.db.query(&Scope::System, statement).await? {
                let (key, job) = (row.text("key")?, row.text("job_id")?);
                let is_ours = |register: &RegisterRow| register.key == key && register.job_id == job;
                if !self.registers.iter().any(is_ours) {
                    others.insert(key);
                }
            }
        }
        Ok(others)
    }

    /// The rows that may replace what waits; with what they are given by now, or without.
    fn slot_rows(&self, sealed: bool) -> Vec<SlotRow<'_>> {
        let mut all = Vec::new();
        for plain in &self.sealed {
            let row = &self.rows[plain.at];
            if let Some(hold) = row.hold.as_ref().filter(|hold| hold.replaces()) {
                let args = if sealed { row.args.as_str() } else { "" };
                all.push(SlotRow { id: &row.id, unique_key: &hold.unique_key, args, whose: &plain.whose });
            }
        }
        all
    }

    /// After slots were taken and what waits was replaced: nothing stands in a job it was not sealed for.
    pub(super) fn sealed_guard(&self) -> Option<Statement> {
        let rows = self.slot_rows(true);
        (!rows.is_empty()).then(|| GUARD_ELSEWHERE.with([json(&rows).into()]))
    }
}
