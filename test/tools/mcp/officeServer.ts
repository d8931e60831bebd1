import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { officeServer } from './office.ts';

serveStdio(() => officeServer());
