//! Support for the tests of the whole: private stores, the built binary as processes, recorded events.

pub mod binary;
pub mod d1_fake;
pub mod evidence;
pub mod faketime;
pub mod fixtures;
pub mod marketplace;
pub mod postgres;
pub mod provider;
pub mod stores;
pub mod workerd;
pub mod workers;

/// A statement of a test's own, without parameters.
pub fn sql_text(text: &str) -> clawr_engine::db::Statement {
    use clawr_engine::db::Sql;
    let text: &'static str = Box::leak(format!("-- params: none\n{text}").into_boxed_str());
    let sql: &'static Sql = Box::leak(Box::new(Sql::one("test", text)));
    sql.with([])
}
