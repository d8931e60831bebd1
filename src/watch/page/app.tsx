/** The frame of every page: where one is, whether what is shown is live, light or dark. */
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { ChatPage } from './chatPage.tsx';
import type { PageProps } from './pageProps.ts';
import { linkTo, type Route, useRoute } from './route.ts';
import { RunPage } from './runPage.tsx';
import { RunsPage } from './runsPage.tsx';
import { useWatched } from './server.ts';
import { shownText } from './text.tsx';
import { useTheme } from './theme.ts';
import { ThemeSwitch } from './themeSwitch.tsx';
import { TrajectoriesPage } from './trajectoriesPage.tsx';
import { TrajectoryPage } from './trajectoryPage.tsx';

const pages: Record<string, { title: string; Page: (props: PageProps) => JSX.Element }> = {
  '': { title: 'Runs', Page: RunsPage },
  run: { title: 'Curves', Page: RunPage },
  trajectories: { title: 'Trajectories', Page: TrajectoriesPage },
  trajectory: { title: 'Trajectory', Page: TrajectoryPage },
  chat: { title: 'Chat', Page: ChatPage },
};

export function App(): JSX.Element {
  const route = useRoute();
  const runs = route.params.getAll('run');
  const watched = useWatched(route.page === 'run' ? runs : []);
  const { theme, choice, choose } = useTheme();
  const { title, Page } = (Object.hasOwn(pages, route.page) && pages[route.page]) || pages[''];
  const main = useFocusOnNewPage(route.page);
  const name = watched.runs?.find(({ id }) => id === runs[0])?.name;
  useEffect(() => {
    document.title = [title, name && shownText(name), 'sod watch'].filter(Boolean).join(' · ');
  }, [title, name]);
  return (
    <>
      <header class="top">
        <a href={linkTo('')} class="brand">
          sod watch
        </a>
        <nav aria-label="Where you are">
          <Places route={route} run={runs.length === 1 ? runs[0] : undefined} />
        </nav>
        <span class={watched.isLive ? 'live' : 'live lost'} role="status">
          {watched.isLive ? 'live' : 'not connected'}
        </span>
        <ThemeSwitch choice={choice} choose={choose} />
      </header>
      <main ref={main} tabIndex={-1}>
        <Page key={route.page} route={route} watched={watched} theme={theme} />
      </main>
    </>
  );
}

/** The pages about the run that is looked at. */
function Places({ route, run }: { route: Route; run?: string }): JSX.Element {
  const places = run ? ['', 'run', 'trajectories', 'chat'] : [''];
  return (
    <>
      {places.map(page => (
        <a key={page} href={linkTo(page, page ? { run } : {})} aria-current={page === route.page ? 'page' : undefined}>
          {pages[page].title}
        </a>
      ))}
    </>
  );
}

/** Whoever goes by keyboard or ear goes on where the new page begins. */
function useFocusOnNewPage(page: string) {
  const main = useRef<HTMLElement>(null);
  const known = useRef(page);
  useEffect(() => {
    if (known.current === page) return;
    known.current = page;
    main.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [page]);
  return main;
}
