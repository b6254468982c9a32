-- What the file says it is: its format version, its owner's mark, and whether it holds anything.
select
  (select user_version from pragma_user_version) as version,
  (select application_id from pragma_application_id) as application,
  (select count(*) from sqlite_schema) as objects;
