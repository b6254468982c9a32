-- The frontier, as the frame pages.
select id, source, url, depth, state, job from pages;
