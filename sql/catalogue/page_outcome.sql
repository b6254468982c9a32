-- Says what became of a page.
update pages set outcome = ?3 where source = ?1 and url = ?2;
