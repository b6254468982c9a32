-- The frontier, as the frame pages.
select id, source, url, host, depth, state, job, outcome from pages;
