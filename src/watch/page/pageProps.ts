import type { Theme } from '../../report/palette.ts';
import type { Route } from './route.ts';
import type { Watched } from './server.ts';

/** What each page is given. */
export interface PageProps {
  route: Route;
  watched: Watched;
  theme: Theme;
}
