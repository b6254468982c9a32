-- Gives a waiting page another depth.
update pages set depth = ?2 where id = ?1;
